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
        for at in range(10):
            row = next(line.split() for line in lines if line.startswith(f"service-{at}:"))
            self.assertEqual(row[:3], [f"service-{at}:{9000 + at}", "9", "100.0%"])


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
