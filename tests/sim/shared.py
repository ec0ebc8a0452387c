"""The faults of the other files, with evaluations whose tasks share a deployment, in one chain.
registry.py says what a scenario is."""

import crashes
import cuts
import disks
import old_stores
import sbatch_answers
import slurm_answers
from registry import SCENARIOS, full_only, scenario
from world import sharing


def shared(function):
    def try_shared(binary, full):
        sharing.on = True
        try:
            return function(binary, full)
        finally:
            sharing.on = False

    try_shared.__name__ = f"shared_{function.__name__}"
    return try_shared


SAMPLE = (crashes.kill_at_submit_points, crashes.kill_at_points_of_a_continued_chain, slurm_answers.requeued_by_slurm)

for file in (crashes, cuts, disks, old_stores, sbatch_answers, slurm_answers):
    for one in [one for name, one in vars(file).items() if SCENARIOS.get(name) is one]:
        made = scenario(shared(one))
        if one not in SAMPLE:
            full_only(made)
