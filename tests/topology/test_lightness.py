"""What importing the light parts of the package does not bring along."""

import subprocess
import sys

LIGHT = "attach_alpha, edge_arrays, generate_graph, normalize, read_graph, validate, write_graph"


def loaded_after(names):
    code = f"import sys; from nashgossip.topology import {names}; print('scipy' in sys.modules)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_scipy_comes_with_the_spectrum_and_not_before():
    assert loaded_after(LIGHT) == "False"
    assert loaded_after("spectral_radius") == "True"
