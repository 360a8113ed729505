"""One mesh for all tests of a module, and ports that no other test takes for a service."""

import importlib.util
import itertools
import os
import threading
import unittest

import meltemi

#: How long a thing may take on a busy machine before a test counts as failed, seconds.
PATIENCE = 60

_ports = itertools.count(9100)


class MeshTest(unittest.TestCase):
    """Tests with a mesh of their own."""

    mesh: meltemi.Mesh

    @classmethod
    def setUpClass(cls):
        cls.mesh = meltemi.Mesh.embedded()

    @classmethod
    def tearDownClass(cls):
        cls.mesh.close()

    def serve(self, handler=None, **more):
        """A registered service of a name of its own, until the test ends."""
        port = next(_ports)
        service = meltemi.Service(f"service-{port}", port, handler=handler, **more)
        service.register(mesh=self.mesh)
        self.addCleanup(service.close)
        return service


def needs(package):
    """Passes a test over where a package is not installed; where all peers are required it fails then."""
    is_missing = importlib.util.find_spec(package) is None
    is_required = os.environ.get("MELTEMI_PEERS") == "required"
    return unittest.skipIf(is_missing and not is_required, f"{package} is not installed")


def within(event: threading.Event) -> None:
    """Waits for an event that must come."""
    if not event.wait(PATIENCE):
        raise AssertionError(f"not within {PATIENCE} s")
