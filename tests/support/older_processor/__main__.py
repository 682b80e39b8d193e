"""pytest as on a processor with AVX2 and without VNNI: `python tests/support/older_processor ARGUMENTS`.

Libraries that obey a setting compute as on such a processor, and rsdetect takes this one for it, in every
process that a test starts. ONNX Runtime and the code that pip compiled for this machine know no setting.
"""

import os
import subprocess
import sys
from pathlib import Path

from numpy._core._multiarray_umath import __cpu_dispatch__

# NumPy refuses to import where it is asked to leave out what it does not know.
AVX512 = [name for name in __cpu_dispatch__ if name.startswith(("AVX512", "X86_V4"))]
SETTINGS = {
    "ATEN_CPU_CAPABILITY": "avx2",  # torch
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # torch and OpenVINO
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",  # torch
    "OPENBLAS_CORETYPE": "Haswell",  # NumPy, SciPy
    "NPY_DISABLE_CPU_FEATURES": " ".join(AVX512),
}
HERE = str(Path(__file__).parent)
PATH = os.pathsep.join([HERE, *filter(None, [os.environ.get("PYTHONPATH")])])
ENVIRONMENT = os.environ | SETTINGS | {"PYTHONPATH": PATH}
REPLACED = "from rsdetect.backends.select import multiplies_bytes; assert not multiplies_bytes()"

if __name__ == "__main__":
    subprocess.run([sys.executable, "-c", REPLACED], env=ENVIRONMENT, check=True)
    sys.exit(subprocess.run([sys.executable, "-m", "pytest", *sys.argv[1:]], env=ENVIRONMENT).returncode)
