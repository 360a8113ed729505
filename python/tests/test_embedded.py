"""What an embedded control plane leaves behind: nothing, and what one has left that was killed the next one clears away."""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from mesh import PATIENCE

PROGRAM = """if True:
    import sys, meltemi
    mesh = meltemi.Mesh.embedded()
    print(mesh.state_dir, flush=True)
    sys.stdin.read()
"""


class Program:
    """A program with an embedded control plane, which ends when its input does."""

    def __init__(self, temporary: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "TMPDIR": temporary},
            text=True,
        )
        self.state_dir = Path(self.process.stdout.readline().strip())

    def end(self) -> int:
        self.process.communicate(timeout=PATIENCE)
        return self.process.returncode

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=PATIENCE)


class Embedded(unittest.TestCase):
    def test_keys_of_a_killed_program_are_removed_by_the_next_one_and_nothing_else_is(self):
        with tempfile.TemporaryDirectory() as temporary:
            other = Path(temporary) / "meltemi-embedded-other"
            other.mkdir(0o700)
            (other / "file").write_text("nobody has held a lock here")
            killed, running = Program(temporary), Program(temporary)
            self.addCleanup(running.kill)
            self.assertEqual(killed.state_dir.stat().st_mode & 0o777, 0o700)
            killed.kill()
            self.assertTrue((killed.state_dir / "ca").is_dir(), "a killed program leaves its keys")
            after = Program(temporary)
            self.addCleanup(after.kill)
            self.assertFalse(killed.state_dir.exists())
            self.assertTrue((running.state_dir / "control.json").exists(), "another one runs still")
            for program in (running, after):
                self.assertEqual(program.end(), 0)
            self.assertEqual(os.listdir(temporary), [other.name])
