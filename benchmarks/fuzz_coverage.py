"""Coverage-guided search with atheris: inputs that reach new branches of the package are varied further.

    pip install atheris
    python benchmarks/fuzz_coverage.py "graph files" -max_total_time=60

The first argument is a surface of benchmarks/fuzz.py; the others go to libFuzzer. It ends at the first defect, whose
input it prints, and which benchmarks/fuzz.py and the tests would call one too. atheris is no dependency of the project.
"""

import sys
import warnings
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.exit("this search needs atheris, which the project does not depend on; pip install atheris")

from hypothesis import HealthCheck, given, settings

sys.path.insert(0, str(Path(__file__).parents[1]))

with atheris.instrument_imports(include=["nashgossip"]):
    from tests.fuzz.attempts import attempt
    from tests.fuzz.test_surfaces import SURFACES


def main() -> None:
    names = {surface.name: surface for surface in SURFACES}
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        sys.exit(f"expected a surface and options of libFuzzer; surfaces are: {', '.join(names)}")
    surface = names[sys.argv[1]]
    warnings.simplefilter("ignore")

    @settings(database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(surface.inputs)
    def run(data: object) -> None:
        attempt(surface, data)

    atheris.Setup([sys.argv[0], *sys.argv[2:]], run.hypothesis.fuzz_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
