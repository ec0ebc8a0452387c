"""The configs that the tests submit: small ones that need no GPU, and what makes the examples fit the test clusters."""

MODEL = "meta/llama-3.1-8b-instruct"
TASK = "lm-evaluation-harness.ifeval"
RESUMED_PARALLELISM = 2  # so many questions may be lost when an attempt is ended
SCORE = 0.75  # the test model gets one of four sums wrong; hence limits below are multiples of four


def task(limit=4, delay_s=0, parallelism=4, name=TASK, extra=None, **members):
    """An entry of evaluation.tasks that takes about limit / parallelism * delay_s seconds. With extra={"hold_after": n} its first
    run stays where it is after n answers (and those under way), until it is ended, or until release() of testbed.py."""
    params = {"limit_samples": limit, "parallelism": parallelism, "extra": {"delay_s": delay_s, **(extra or {})}}
    return {"name": name, "nemo_evaluator_config": {"config": {"params": params}}, **members}


def config(bed, model_server, *tasks, cluster="alpha", execution=None, **members):
    """A config against the model server of the tests: one CPU, no GPU, the API key as its only secret."""
    return {
        "defaults": [{"execution": "slurm/default"}, {"deployment": "none"}, "_self_"],
        "execution": {
            "hostname": f"login.{cluster}.example",
            "account": bed.env["NEL_ACCOUNT"],
            "output_dir": str(bed.output),
            "gres": None,
            "sbatch_extra_flags": {"exclusive": False},
            "walltime": "00:10:00",
            "mounts": {"mount_home": False},
            **(execution or {}),
        },
        "target": {
            "api_endpoint": {"url": model_server.url, "model_id": MODEL, "api_key_name": "MODELS_API_KEY"},
        },
        "evaluation": {"tasks": list(tasks)},
        **members,
    }
