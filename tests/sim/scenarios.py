"""All scenarios: each file has those of its subject, and importing it puts them into the registry."""

import connections  # noqa: F401
import crashes  # noqa: F401
import cuts  # noqa: F401
import disks  # noqa: F401
import evidence  # noqa: F401
import old_stores  # noqa: F401
import placing  # noqa: F401
import sbatch_answers  # noqa: F401
import reuse  # noqa: F401
import shared  # noqa: F401
import slurm_answers  # noqa: F401
from registry import FULL_ONLY, SCENARIOS  # noqa: F401
