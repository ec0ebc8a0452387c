# %% [markdown]
# # From a config to a table
# Cells as Jupyter and editors read them (`# %%`). It wants `NEL_URL` and `NEL_TOKEN`, and takes the config's name from
# `CONFIG`. Its secrets come from the environment: those that the config names and that are set here.

# %%
import os
from pathlib import Path

import nel_slurmd
from nel_slurmd import Client

config = Path(os.environ.get("CONFIG", "config.yaml"))
secrets = {name: os.environ[name] for name in ("HF_TOKEN", "API_KEY", "MODELS_API_KEY") if name in os.environ}
nel = Client()
print("signed in as", nel.whoami()["user"])

# %% [markdown]
# Look before: what would be run, and what is said of it.

# %%
plan = nel.dry_run(config, env=secrets)
print(nel_slurmd.describe(plan["warnings"]) or "no warnings")
print(*(f"{job['index']}: {job['task']} in {job['container']}" for job in plan["jobs"]), sep="\n")

# %% [markdown]
# Submit, and wait with a bar. A mistake in the config is an exception that says where.

# %%
try:
    evaluation = nel.submit(config, env=secrets, labels={"purpose": "notebook"})
except nel_slurmd.Invalid as error:
    print(nel_slurmd.describe(error.errors))
    raise
evaluation = nel.wait(evaluation["id"], check=True)
print(evaluation["id"], evaluation["state"])

# %% [markdown]
# The scores, and the last lines of the first job's log.

# %%
scores = nel.results_frame(evaluation=evaluation["id"])
print(scores[["task", "metric", "score", "value", "stderr", "count"]].to_string(index=False))

# %%
print(nel.log(evaluation["jobs"][0]["id"], tail=5))

# %% [markdown]
# Against others: the latest score of each model, and the differences to this one.

# %%
print(nel.matrix_frame(baseline=evaluation["model"], label="purpose:notebook").to_string())
