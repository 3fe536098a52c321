"""Makes importable what stands beside the proofs (no Coq is needed for it), and the list of items."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path += [str(ROOT / "proofs" / "formal"), str(ROOT / "tests" / "spec")]
