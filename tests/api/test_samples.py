"""Comparisons by the samples that two runs have in common: pairs by id and content, repeats, leftovers, flips."""

import re

import pytest
import samples
from conftest import Daemon
from scipy.stats import binomtest
from test_evidence import nelctl
from test_scores import add_score, finish, submit

COUNT = 200


def rows(right, hashes=7, repeats=1, ids=range(COUNT)):
    return [(i, hashes + i, repeat, {"acc": float(right(i, repeat))}) for repeat in range(repeats) for i in ids]


# Of each task: rows of a and of b. b is right where a is, but wrong for 4 more and right for 20 more.
def of_a(i, repeat):
    return i % 2 == 0


def of_b(i, repeat):
    return i % 2 == 0 and i not in (0, 2, 4, 6) or i % 10 == 1


TASKS = {
    "plain": (rows(of_a), rows(of_b)),
    "backwards": (rows(of_a), rows(of_b)[::-1]),  # never by position
    "other": (rows(of_a), rows(of_b, hashes=9000)),  # the same ids, and all was asked anew
    "part": (rows(of_a, ids=range(150)), rows(of_b, ids=range(50, 200))),
    "repeats": (rows(of_a, repeats=2), rows(lambda i, repeat: of_b(i, repeat) or repeat == 1, repeats=2)),
    "scaled": (rows(of_a), rows(of_b)),
    "unlike": (rows(of_a), rows(of_b)),  # the scores are no means of these
}


def mean(some):
    return sum(row[3]["acc"] for row in some) / len(some)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    daemon = Daemon(tmp_path_factory.mktemp("samples"))
    daemon.prepare()
    daemon.start()
    ann = daemon.client("ann")
    made = {name: submit(ann, overrides=[f"target.api_endpoint.model_id=org/{name}"])["id"] for name in "ab"}
    daemon.stop()
    for place, name in enumerate("ab"):
        job = f"{made[name]}.0"
        finish(daemon, job)
        for task, sides in TASKS.items():
            value = mean(sides[place]) * (100 if task == "scaled" else 1) + (0.2 if task == "unlike" else 0)
            add_score(daemon, job, task, "acc", "acc", value, 0.03 * (100 if task == "scaled" else 1), len(sides[place]))
        samples.store(daemon, job, [{"task": task, "filter": "none", "rows": sides[place]} for task, sides in TASKS.items()])
    daemon.start()
    yield daemon, made
    daemon.stop()


@pytest.fixture
def items(store):
    daemon, made = store
    reply = daemon.client("ann").get(f"/v1/compare?a={made['a']}&b=model:org/b&flips=true").json()
    return {item["task"]: item for item in reply["items"]}


def test_pairs_are_of_items_wherever_they_stand(items):
    for task in ("plain", "backwards"):
        item = items[task]
        assert (item["method"], item["pairs"], item["unpaired"]) == ("mcnemar_exact", COUNT, {"a": 0, "b": 0})
        assert (item["flips"]["better"], item["flips"]["worse"]) == (20, 4)
        assert item["p"] == pytest.approx(binomtest(4, 24).pvalue, rel=1e-9)
        assert item["difference"] == pytest.approx(16 / COUNT)
    assert items["plain"]["verdict"] == "better"  # which two independent runs of this size could not have shown
    assert items["plain"]["detectable"] < 0.1


def test_unpaired_samples_are_counted_and_count_for_nothing(items):
    assert (items["part"]["pairs"], items["part"]["unpaired"]) == (100, {"a": 50, "b": 50})
    other = items["other"]
    assert (other["method"], other["pairs"], other["unpaired"], other["flips"]) == (
        "independent", 0, {"a": COUNT, "b": COUNT}, None)


def test_repeats_are_averaged_by_item(items):
    item = items["repeats"]
    assert (item["method"], item["pairs"], item["unpaired"]) == ("paired_permutation", COUNT, {"a": 0, "b": 0})
    assert (item["flips"]["better"], item["flips"]["worse"]) == (100, 4)
    assert item["a"] == pytest.approx(0.5) and item["b"] == pytest.approx(0.79)


def test_samples_are_held_to_the_score(items):
    assert items["scaled"]["method"] == "mcnemar_exact" and items["scaled"]["difference"] == pytest.approx(8)
    assert items["unlike"]["method"] == "independent" and items["unlike"]["unpaired"] is None


def test_flips_are_listed_with_their_samples(store, items):
    _, made = store
    flips = items["plain"]["flips"]
    assert flips["more"] == 0 and [one["id"] for one in flips["samples"]][:5] == [0, 2, 4, 6, 1]
    first = flips["samples"][0]
    assert (first["a"], first["b"]) == (1, 0) and first["a_sample"].startswith(f"/v1/jobs/{made['a']}.0/samples/")
    back = items["backwards"]["flips"]["samples"][0]
    before = sum(len(sides[1]) for task, sides in list(TASKS.items())[:1])
    assert back["b_sample"] == f"/v1/jobs/{made['b']}.0/samples/{before + COUNT - 1}"
    many = items["repeats"]["flips"]
    assert (len(many["samples"]), many["more"]) == (100, 4) and many["samples"][0]["b"] == 0.5


def test_a_matrix_says_how_each_difference_came_to_be(store):
    daemon, _ = store
    reply = daemon.client("ann").get("/v1/results?latest=true&form=matrix&baseline=org/a").json()
    row = next(one for one in reply["rows"] if one["model"] == "org/b")
    cells = {column["task"]: cell for column, cell in zip(reply["columns"], row["cells"])}
    assert cells["plain"]["method"] == "mcnemar_exact" and cells["plain"]["delta"] == pytest.approx(0.08)
    assert cells["plain"]["delta_stderr"] < cells["other"]["delta_stderr"]
    assert cells["other"]["method"] == "independent"
    compared = {item["task"]: item for item in daemon.client("ann").get("/v1/compare?a=model:org/a&b=model:org/b").json()["items"]}
    assert len(cells) == len(compared)
    for task, item in compared.items():
        names = {"delta": "difference", "delta_ci95": "ci95", "method": "method", "p_adjusted": "p_adjusted", "verdict": "verdict"}
        assert {name: cells[task][name] for name in names} == {name: item[as_] for name, as_ in names.items()}, task
    assert cells["plain"]["verdict"] == "better" and cells["other"]["verdict"] == "no_difference_shown"
    shown = nelctl(store, "results", "--matrix", "--baseline", "org/a", "--task", "plain")
    assert re.search(r"\(\+0\.08 \[\+0\.0\d+, \+0\.1\d+\] paired, better\)", shown), shown


def test_a_gate_takes_the_pairs(store):
    daemon, made = store
    body = {"baseline": made["b"], "candidate": made["a"], "policy": {"tasks": {"plain": {"least_pairs": COUNT}}}}
    reply = daemon.client("ann").post("/v1/gates", 200, json=body).json()
    assert reply["verdict"] == "block" and reply["rules"][0]["comparison"]["pairs"] == COUNT


def test_nelctl_tells_of_pairs_and_flips(store):
    made = store[1]
    text = nelctl(store, "compare", made["a"], made["b"], "--flips")
    assert "plain acc: of 200 pairs of samples 20 got better and 4 worse\n" in text
    assert "part acc: of 100 pairs of samples 10 got better and 0 worse; without a pair: 50 of A, 50 of B" in text
    assert "other acc: no sample of A is one of B" in text
    table = text[text.index("plain acc: samples that came out differently"):].splitlines()
    assert table[2].split()[:3] == ["0", "1", "0"] and table[2].split()[3].startswith(f"/v1/jobs/{made['a']}.0/samples/")
    assert "differently" not in nelctl(store, "compare", made["a"], made["b"])


def test_samples_are_listed_by_outcome_and_page(store):
    daemon, made = store
    ann, job = daemon.client("ann"), f"{made['a']}.0"
    total = sum(len(sides[0]) for sides in TASKS.values())
    first = ann.get(f"/v1/jobs/{job}/samples?limit=3").json()
    assert [item["number"] for item in first["items"]] == [0, 1, 2] and first["stored"]["samples"] == total
    assert first["items"][1] == {
        "number": 1, "task": "plain", "filter": "none", "id": 1, "repeat": 0, "outcome": "wrong", "values": {"acc": 0},
        "file": "samples_t.jsonl", "line": 2, "record": f"/v1/jobs/{job}/samples/1"}
    seen, cursor = [], ""
    while cursor is not None:
        page = ann.get(f"/v1/jobs/{job}/samples?outcome=wrong&limit=500{cursor and '&cursor='}{cursor}").json()
        seen += page["items"]
        cursor = page["next"]
    assert len(seen) == sum(row[3]["acc"] == 0 for sides in TASKS.values() for row in sides[0])
    assert all(item["outcome"] == "wrong" for item in seen)
    assert ann.get(f"/v1/jobs/{job}/samples?outcome=partial").json()["items"] == []
    assert "outcome" in ann.get(f"/v1/jobs/{job}/samples?outcome=bad", 400).json()["detail"]
    assert ann.get(f"/v1/jobs/{made['a']}.1/samples").json()["stored"]["samples"] == 0
    for number in (total, "x", -1, 10**30):
        ann.get(f"/v1/jobs/{job}/samples/{number}", 404)
    ann.get(f"/v1/jobs/{made['a']}.1/samples/0", 404)


def test_a_record_is_read_from_the_cluster_while_it_is_there(daemon, ann, tmp_path):
    folder = tmp_path / "task.0"
    (folder / "artifacts/m").mkdir(parents=True)
    (folder / "logs").mkdir()
    job = ann.submit().json()["id"] + ".0"
    account = daemon.settings.read_text().rsplit("username: ", 1)[1].split(",")[0]
    daemon.execute("UPDATE jobs SET cluster = 'beta', identity = ?, job_dir = ? WHERE id = ?", account, str(folder), job)
    file = folder / "artifacts/m/samples_t.jsonl"
    samples.store(daemon, job, [{"task": "t", "file": "m/samples_t.jsonl", "rows": [
        (i, 0, 0, {"acc": 1.0}) for i in range(4)]}])
    lines = ['{"doc_id": %d, "doc": "what is %d?", "acc": 1.0%s}\n' % (i, i, ', "ppl": NaN' if i == 2 else "") for i in range(3)]
    ann.get(f"/v1/jobs/{job}/samples/1", 404)
    file.write_text("".join(lines))
    reply = ann.get(f"/v1/jobs/{job}/samples/1")
    assert reply.text == lines[1] and reply.headers["Content-Type"] == "application/json"
    assert ann.get(f"/v1/jobs/{job}/samples/2").headers["Content-Type"].startswith("text/plain")
    assert "has changed" in ann.get(f"/v1/jobs/{job}/samples/3", 409).json()["detail"]  # there is no such line
    file.write_text(lines[1] + lines[0])
    assert "has changed" in ann.get(f"/v1/jobs/{job}/samples/1", 409).json()["detail"]
    file.write_text(lines[0] + '{"doc_id": 1, "doc": "%s", "acc": 1}\n' % ("x" * (5 << 20)))
    assert "larger than 4 MiB" in ann.get(f"/v1/jobs/{job}/samples/1", 409).json()["detail"]
    file.unlink()
    file.symlink_to("/etc/passwd")
    ann.get(f"/v1/jobs/{job}/samples/1", 403)


def test_inconclusive_says_what_size_could_have_been_seen(store):
    """Of few pairs nothing can be said: how great a difference would have been found is in the document all the same."""
    daemon, made = store
    for name, right in (("few-a", (1, 0, 1, 0)), ("few-b", (1, 1, 1, 0))):
        made[name] = submit(daemon.client("ann"), overrides=[f"target.api_endpoint.model_id=org/{name}"])["id"]
        finish(daemon, f"{made[name]}.0")
        few = [(i, 7 + i, 0, {"acc": float(value)}) for i, value in enumerate(right)]
        add_score(daemon, f"{made[name]}.0", "few", "acc", "acc", mean(few), 0.25, len(few))
        samples.store(daemon, f"{made[name]}.0", [{"task": "few", "filter": "none", "rows": few}])
    [item] = daemon.client("ann").get(f"/v1/compare?a={made['few-a']}&b={made['few-b']}").json()["items"]
    assert (item["verdict"], item["pairs"], item["method"]) == ("inconclusive", 4, "mcnemar_exact")
    # 0, 1, 0, 0: 2.8 standard errors of 0.25.
    assert item["detectable"] == pytest.approx(2.8015817869 * 0.25, rel=1e-6)
