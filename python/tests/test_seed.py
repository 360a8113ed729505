"""The seed's program, and the registry that it fills."""

import subprocess
import sys
import unittest
from pathlib import Path

import meltemi
from mesh import PATIENCE, MeshTest

SEED = Path(__file__).parents[2] / "examples" / "seed.py"


class Seed(unittest.TestCase):
    def test_ninety_calls_have_ninety_results(self):
        run = subprocess.run([sys.executable, SEED], capture_output=True, text=True, timeout=2 * PATIENCE, check=False)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        lines = run.stdout.splitlines()
        self.assertEqual(lines[0], "90 results of 90 calls are in the registry")
        rows = [line.split() for line in lines if line.startswith("service-")]
        names = [f"service-{at}:{9000 + at}" for at in range(10)]
        self.assertEqual([row[:3] for row in rows[:10]], [[name, "9", "100.0%"] for name in names])
        # Each was called by nine others, and the control plane knows of it.
        self.assertEqual([row[:4] for row in rows[10:]], [[name, "9", "9", "100.0%"] for name in names])


class Outcomes(MeshTest):
    def test_the_registry_knows_what_became_of_calls(self):
        service = self.serve(lambda request: meltemi.Reply("", status=500 if request.path == "/bad" else 200))
        caller = self.serve()
        for path in ("/", "/", "/bad"):
            caller.get(service.url + path)
        told = self.mesh.outcomes(service.host, at_least=3)
        self.assertEqual(len(told), 1, told)
        outcome = told[0]
        self.assertEqual((outcome.calls, sum(outcome.failures.values())), (3, 1))
        self.assertAlmostEqual(outcome.success, 2 / 3, places=3)
        self.assertTrue(service.instance.endswith(outcome.endpoint), outcome)
        self.assertGreater(outcome.latency("p99"), 0)
        self.assertIn(service.host, told.table())
        with self.assertRaisesRegex(meltemi.Error, "window"):
            self.mesh.outcomes(window="2d")

    def test_a_program_asks_for_its_own_calls_alone(self):
        service, caller = self.serve(), self.serve()
        with meltemi.Mesh.local(self.mesh.state_dir) as other:
            for _ in range(3):
                other.get(service.url)
            # Those of the other program are there; they are no calls of this one.
            self.assertEqual(sum(it.calls for it in self.mesh.outcomes(service.host, at_least=3)), 3)
            self.assertEqual(self.mesh.outcomes(service.host, own=True), [])
            self.mesh.get(service.url)
            caller.get(service.url)
            told = self.mesh.outcomes(service.host, own=True, at_least=2)
            self.assertEqual({it.caller: it.calls for it in told}, {self.mesh.name: 1, caller.instance: 1})
            self.assertEqual([it.calls for it in other.outcomes(service.host, own=True, at_least=3)], [3])


class Registry(MeshTest):
    def test_a_result_that_is_added_twice_is_kept_once(self):
        registry = meltemi.Registry()
        service = self.serve(lambda request: meltemi.Reply("", status=503 if request.path == "/bad" else 200))
        good = self.mesh.get(service.url)
        for it in (good, good.result, good.result.result):
            registry.add(it)
        self.assertIs(good.result.result, good.result)
        self.assertEqual((len(registry), good.result in registry), (1, True))
        registry.add(self.mesh.get(f"{service.url}/bad"))
        picture = registry.picture(f"{service.host}:{service.port}")
        self.assertEqual((picture.calls, picture.failures, picture.success), (2, 1, 0.5))
        self.assertGreater(picture.quantile(0.5), 0)
        self.assertIn(service.host, registry.table())
        self.assertIsNone(registry.picture("nobody"))
