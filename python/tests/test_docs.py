"""What the documentation shows runs as it is written there, and its types are right."""

import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from mesh import PATIENCE, needs

ROOT = Path(__file__).parents[2]


def whole_program():
    """The one of docs/sdk.md: the only block that needs nothing but itself."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "sdk.md").read_text(encoding="utf-8"), re.DOTALL)
    whole = [block for block in blocks if "mesh.example.com" not in block]
    assert len(whole) == 1, f"{len(whole)} programs"
    return whole[0]


class Docs(unittest.TestCase):
    def test_the_program_in_the_documentation_runs(self):
        command = [sys.executable, "-c", whole_program()]
        run = subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE, check=False)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        lines = run.stdout.splitlines()
        who = "spiffe://cluster.local/ns/default/sa"
        expected = [f"{{'hello': '{who}/default'}}", f"{{'hello': '{who}/api'}}", "from asyncio"]
        self.assertEqual(lines[:3], expected)
        rows = [line.split()[:2] for line in lines if line.startswith("hello:8001")]
        # One result was added; the mesh knows of three calls.
        self.assertEqual(rows, [["hello:8001", "1"], ["hello:8001", "3"]])

    @needs("mypy")
    def test_types_are_complete_and_right(self):
        with tempfile.TemporaryDirectory() as directory:
            program = Path(directory) / "program.py"
            program.write_text(whole_program(), encoding="utf-8")
            command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", directory, "-p", "meltemi", "-m", "program"]
            # Not from the root, whose `python` is no package: the one that is installed is judged.
            run = subprocess.run(
                command, capture_output=True, text=True, timeout=5 * PATIENCE, check=False, cwd=directory
            )
        self.assertEqual((run.returncode, run.stderr), (0, ""), run.stdout)

    @needs("mypy")
    def test_the_stubs_say_what_is_there(self):
        command = [sys.executable, "-m", "mypy.stubtest", "meltemi._meltemi"]
        with tempfile.TemporaryDirectory() as directory:
            run = subprocess.run(
                command, capture_output=True, text=True, timeout=5 * PATIENCE, check=False, cwd=directory
            )
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
