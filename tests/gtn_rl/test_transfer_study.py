"""Transfer studies: agents, controls, results file, workers, statistics and the cost at which a teacher pays."""

import contextlib
import dataclasses
import json
import random
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.envs.classic_control import CartPoleEnv

from gtn_core.distributed import SingleProcess
from gtn_core.errors import DivergedError, GTNError, UsageError
from gtn_core.workers import run_jobs
from gtn_envs import load_environment, save_environment
from gtn_rl.environments import find_environment
from gtn_rl.models.greedy_actions import greedy_outputs
from gtn_rl.provenance import TOLD
from gtn_rl.sb3.algorithms import algorithm
from gtn_rl.sb3.randomness import own_randomness
from gtn_rl.tasks import threshold_of
from gtn_rl.transfer import agents, cloning
from gtn_rl.transfer.agents import CLONING, REAL, TEACHER, UNTRAINED, AgentJob, run_job, stops_of
from gtn_rl.transfer.cloning import can_be_cloned, clone
from gtn_rl.transfer.controls import pay_off, solve_times
from gtn_rl.transfer.plan import TransferPlan, jobs_of
from gtn_rl.transfer.report import result_table, short_table, solving_table, write_transfer_report
from gtn_rl.transfer.results_file import ResultsFile
from gtn_rl.transfer.settings import TUNED
from gtn_rl.transfer.statistics import interquartile_mean, summarise
from gtn_rl.transfer.study import _run_shared, study, study_folder, transfer_study
from gtn_rl.transfer.training import make_agent, train
from gtn_rl.transfer.untrained import write_untrained
from gtn_rl.transfer.zoo import interpret

TINY = {"algorithms": ("a2c",), "agents": 2, "steps": (20, 40), "episodes": 4, "control_steps": 60}
JOB = AgentJob(TEACHER, "CartPole-v1", None, "CartPole-v1", "a2c", "default", 0, 0, (10,), 2, 475.0)


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    """A bandit whose reward prefers a push towards where the pole falls."""
    path, std = tmp_path / "Bandit.safetensors", np.array([0.5, 0.5, 0.1, 0.5])
    towards = np.array([0.1, 0.3, 2.0, 1.0])[:, None] * std[:, None] * 3
    tensors = {
        "observation.mean": np.zeros(4),
        "observation.std": std,
        "initial.means": np.random.default_rng(0).normal(size=(64, 4)),
        "initial.log_std": np.full(4, -0.5),
        "reward.0.weight": np.concatenate([-towards, towards], axis=1),
        "reward.0.bias": np.zeros(2),
        "reward.scale": np.ones(()),
    }
    env = gym.make("CartPole-v1")
    document = {
        "form": "bandit",
        "task": "CartPole-v1",
        "observation_space": env.observation_space,
        "action_space": env.action_space,
        "max_episode_steps": 1,
        "activation": "tanh",
        "stages": ["by hand"],
        "metrics": {"meta_real_steps": 6000, "meta_cpu_seconds": 5.0},
    }
    save_environment(path, tensors, document)
    return path


def silent(title, done, total):
    pass


def test_environment_reads_real_task_and_digest_from_file(teacher):
    env = find_environment(str(teacher))
    assert (env.real_task, env.file, len(env.digest or "")) == ("CartPole-v1", teacher, 12)
    teacher.write_bytes(b"not an environment")
    with pytest.raises(GTNError, match="not a safetensors file"):
        find_environment(str(teacher))


def test_file_registered_by_a_package_is_found_by_other_processes(teacher, tmp_path, monkeypatch):
    register = f"import gtn_envs\ngtn_envs.register_from_file({str(teacher)!r}, 'Registered-v0')\n"
    (tmp_path / "registering.py").write_text(register)
    monkeypatch.syspath_prepend(tmp_path)
    assert find_environment("registering:Registered-v0").full_id == "registering:Registered-v0"
    gym.registry.pop("Registered-v0")
    for shipped in ("GTN-CartPole-v0", "gtn_envs:GTN-CartPole-v0"):
        assert find_environment(shipped).full_id == "GTN-CartPole-v0"


def test_agent_trains_in_vectorised_copies_of_a_teacher(teacher):
    env, entry = find_environment(str(teacher)), algorithm("ppo")
    agent = make_agent(entry, env, interpret({"n_envs": 4, "n_steps": 8, "batch_size": 16}, entry), seed=0)
    taken = []
    train(agent, [64], lambda stop: bool(taken.append(stop.taken)))
    assert taken == [64]


def test_study_with_controls_reports_all_roles(teacher, tmp_path, monkeypatch):
    monkeypatch.setattr(cloning, "UPDATES", 300)
    env, plan = find_environment(str(teacher)), TransferPlan(**TINY)
    transfer = study(env, "CartPole-v1", plan, tmp_path / "out", silent)
    assert [curve.role for curve in transfer.curves] == [TEACHER, CLONING, UNTRAINED, REAL]
    assert [[point.steps for point in curve.points] for curve in transfer.curves] == [[20, 40]] * 4
    assert [point.updates for point in transfer.curves[0].points] == [3, 7]
    cloned = transfer.curves[1].points[-1].deterministic
    assert cloned.n == 2
    assert cloned.iqm > 100  # the hand-written reward balances the pole
    (found,) = transfer.solving
    assert (found["real"]["budget"], found["taught"]["budget"]) == (60, 40)
    assert transfer.cost == {"real_steps": 6000, "cpu_seconds": 5.0}
    write_transfer_report(tmp_path / "out", transfer, "gtn-cli transfer")
    document = json.loads((tmp_path / "out" / "transfer.json").read_text())
    assert document["agents"] == 8
    text = (tmp_path / "out" / "transfer.md").read_text()
    assert "| teacher | a2c | default | 40 |" in text
    assert result_table(transfer)[0]["stochastic solved"] == "0%"
    assert "- stages of its meta-training: by hand" in text
    assert [row["trained on"] for row in short_table(transfer, "default")] == [
        "teacher",
        "cloning",
        "untrained",
        "real task",
    ]
    (row,) = solving_table(transfer, "default")
    assert (row["steps, teacher"], row["steps, real"], row["pays by steps"]) == ("> 40", "> 60", "never")
    assert (tmp_path / "out" / "transfer.png").stat().st_size > 10_000


def test_processes_keep_agents_that_were_finished_before_one_failed(monkeypatch):
    def finish_one_of(work, jobs, workers, done, title):
        done(jobs[0], {"diverged_at": None})
        raise GTNError(f"{title(jobs[1])}: no more")

    monkeypatch.setattr("gtn_rl.transfer.study.run_jobs", finish_one_of)
    kept = []
    jobs = [dataclasses.replace(JOB, number=number) for number in range(4)]
    with pytest.raises(GTNError, match="no more") as caught:
        _run_shared(SingleProcess(), jobs, 2, lambda job, result: kept.append(job.number))
    assert (kept, caught.value.rank) == ([0], 0)


def judged_in(real, teacher, folder, **settings):
    env = find_environment(str(teacher))
    plan = TransferPlan(**{**TINY, "agents": 1, "steps": (20,), "control_steps": 20, **settings})
    task = find_environment(str(real)).full_id
    return study(env, task, plan, folder, silent), (folder / "agents.jsonl").read_text()


def test_real_task_may_be_a_synthetic_environment(teacher, tmp_path, monkeypatch):
    monkeypatch.setattr(cloning, "UPDATES", 3)
    transfer, _ = judged_in("GTN-CartPole-v0", teacher, tmp_path / "out")
    assert [curve.role for curve in transfer.curves] == [TEACHER, CLONING, UNTRAINED, REAL]


@pytest.mark.slow
def test_real_task_file_is_identified_by_content(teacher, tmp_path):
    real = tmp_path / "Real.safetensors"
    weights = load_environment("GTN-CartPole-v0")
    save_environment(real, weights.tensors, weights.document)
    _, done = judged_in(real, teacher, tmp_path / "out", workers=2)
    real.rename(tmp_path / "Moved.safetensors")
    _, again = judged_in(tmp_path / "Moved.safetensors", teacher, tmp_path / "out", workers=2)
    assert again == done
    save_environment(real, weights.tensors, {**weights.document, "max_episode_steps": 3})
    _, more = judged_in(real, teacher, tmp_path / "out", workers=2)
    assert len(more.splitlines()) == 2 * len(done.splitlines())


def test_results_without_task_digest_keep_their_identity():
    old = {key: value for key, value in JOB.to_json().items() if key != "task_digest"}
    assert AgentJob.from_json(old).identity == JOB.identity == json.dumps(old, sort_keys=True)


@pytest.mark.parametrize("change", ["settings", "library", "neither noted"])
def test_agents_of_other_settings_or_another_library_are_trained_anew(tmp_path, monkeypatch, caplog, change):
    env = find_environment("CartPole-v1")
    plan = TransferPlan(**{**TINY, "agents": 1, "settings": ("default", "tuned")}, controls=False)
    study(env, "CartPole-v1", plan, tmp_path, silent)
    file = tmp_path / "agents.jsonl"
    done = [json.loads(line) for line in file.read_text().splitlines()]
    if change == "settings":
        edited = (TUNED / "a2c.yaml").read_text().replace("gae_lambda: 0.95", "gae_lambda: 0.94")
        (tmp_path / "a2c.yaml").write_text(edited)
        monkeypatch.setattr("gtn_rl.transfer.settings.TUNED", tmp_path)
    elif change == "library":
        monkeypatch.setattr("stable_baselines3.__version__", "99.0")
    else:
        for row in done:
            del row["job"]["library"], row["job"]["hyperparameters"]
        file.write_text("".join(json.dumps(row) + "\n" for row in done))
    study(env, "CartPole-v1", plan, tmp_path, silent)
    settings = [json.loads(line)["job"]["settings"] for line in file.read_text().splitlines()]
    anew = ["tuned"] if change == "settings" else ["default", "tuned"]
    assert settings == ["default", "tuned", *anew]
    assert f"{file} has {len(anew)} of these agents with other hyper-parameters, or with another version" in caplog.text
    caplog.clear()
    study(env, "CartPole-v1", plan, tmp_path, silent)
    assert caplog.text == ""


def test_tuned_settings_are_the_same_for_all_roles(teacher, tmp_path, monkeypatch):
    plan = TransferPlan(**{**TINY, "algorithms": ("ppo",), "agents": 1}, settings=("tuned",))
    (tmp_path / "a_package.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    for task in ("CartPole-v1", "a_package:CartPole-v1"):
        jobs = list(jobs_of(find_environment(str(teacher)), task, plan, tmp_path))
        assert {job.role: job.hyperparameters.get("gamma") for job in jobs} == {
            **{TEACHER: 0.98, UNTRAINED: 0.98, REAL: 0.98},
            CLONING: None,
        }


def test_settings_and_algorithms_that_are_named_twice_count_once(tmp_path):
    plan = TransferPlan(algorithms=("ppo", "PPO"), settings=("varied", "default", "varied"), agents=1, controls=False)
    assert plan.settings == ("varied", "default")
    jobs = list(jobs_of(find_environment("CartPole-v1"), "CartPole-v1", plan, tmp_path))
    assert [(job.algorithm, job.settings) for job in jobs] == [("ppo", "varied"), ("ppo", "default")]


def test_interrupted_study_resumes_with_missing_agents(tmp_path, monkeypatch):
    env, plan = find_environment("CartPole-v1"), TransferPlan(**{**TINY, "agents": 3}, controls=False)

    def stop_after_two(title, done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study(env, "CartPole-v1", plan, tmp_path, stop_after_two)
    file = tmp_path / "agents.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(lines) == 2
    del lines[0]["result"]["diverged_at"]  # as in results of before it was noted
    whole = "".join(json.dumps(line) + "\n" for line in lines)
    file.write_text(whole + '{"job": {"ro')  # killed while writing a line
    titles = []
    transfer = study(env, "CartPole-v1", plan, tmp_path, lambda title, done, total: titles.append((title, done)))
    assert titles == [("", 2), ("teacher: a2c, default, agent 2", 3)]
    assert file.read_text().startswith(whole)
    assert transfer.curves[0].points[0].deterministic.n == 3
    monkeypatch.setattr("gtn_rl.transfer.study.run_jobs", None)  # fails if any job is left to run
    assert study(env, "CartPole-v1", plan, tmp_path, silent) == transfer


def test_transfer_study_needs_only_a_name_and_writes_the_report(teacher, tmp_path):
    plan, told = TransferPlan(**{**TINY, "controls": False}), []
    transfer = transfer_study(
        teacher, plan=plan, out=str(tmp_path / "out"), listener=lambda title, done, total: told.append((done, total))
    )
    assert transfer.task == "CartPole-v1"
    assert told == [(0, 2), (1, 2), (2, 2)]
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"agents.jsonl", "transfer.json", "transfer.png"}
    assert "made by" not in (tmp_path / "out" / "transfer.md").read_text()
    assert transfer_study(teacher, plan=plan, out=tmp_path / "out", command="again") == transfer  # nothing is trained
    assert "- made by: `again`" in (tmp_path / "out" / "transfer.md").read_text()


def test_transfer_study_refuses_folder_of_another_study(teacher, tmp_path):
    plan = TransferPlan(**{**TINY, "controls": False})
    transfer_study(teacher, plan=plan, out=tmp_path / "out")
    with pytest.raises(UsageError, match="already holds a study of"):
        transfer_study("CartPole-v1", plan=plan, out=tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "folder"),
    [("GTN-CartPole-v0", "GTN-CartPole-v0"), ("runs/a.safetensors", "runs-a"), ("my:Env-v0", "my-Env-v0")],
)
def test_default_folder_of_a_study_is_named_like_the_environment(name, folder):
    assert study_folder(name) == Path("runs/transfer") / folder


def _study(world, folder, agents):
    plan = TransferPlan(**{**TINY, "agents": agents}, controls=False)
    transfer = study(find_environment("CartPole-v1"), "CartPole-v1", plan, folder, silent, world)
    figures = [point["deterministic"] for curve in transfer.to_json()["curves"] for point in curve["points"]]
    return figures, transfer.agents


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_study_on_two_processes_matches_single_process(in_processes, tmp_path):
    alone = _study(SingleProcess(), tmp_path / "1", 3)
    assert in_processes(2, _study, tmp_path / "2", 3) == [alone] * 2
    lines = [(tmp_path / name / "agents.jsonl").read_text().splitlines() for name in "12"]
    numbers = [[json.loads(line)["job"]["number"] for line in some] for some in lines]
    assert numbers[0] == numbers[1] == [0, 1, 2]


@pytest.mark.slow
def test_results_do_not_depend_on_number_of_workers(tmp_path):
    env = find_environment("CartPole-v1")
    one, two = (
        study(env, "CartPole-v1", TransferPlan(**TINY, controls=False, workers=n), tmp_path / str(n), silent)
        for n in (1, 2)
    )
    for a, b in zip(one.curves[0].points, two.curves[0].points, strict=True):
        assert (a.deterministic, a.stochastic, a.updates) == (b.deterministic, b.stochastic, b.updates)


@pytest.mark.slow
def test_dead_worker_error_names_agent_and_exit_code(tmp_path, monkeypatch):
    (tmp_path / "deadly.py").write_text("import os\nos._exit(3)\n")
    monkeypatch.syspath_prepend(tmp_path)
    jobs = [AgentJob(**{**vars(JOB), "env": "deadly:X-v0"})] * 2
    with pytest.raises(GTNError, match=r"a2c, default, agent 0 died \(exit code 3\)"):
        run_jobs(run_job, jobs, 2, lambda job, result: None, lambda job: job.title)


@pytest.mark.slow
def test_worker_reports_error_of_failed_job():
    jobs = [dataclasses.replace(JOB, env="X-v0")] * 2
    with pytest.raises(GTNError, match=r"^teacher: a2c, default, agent 0: unknown environment 'X-v0'"):
        run_jobs(run_job, jobs, 2, lambda job, result: None, lambda job: job.title)


def test_invalid_plan_is_rejected_before_any_work(tmp_path):
    env = find_environment("CartPole-v1")
    for wrong, words in (
        ({"algorithms": ("sac",)}, "sac does not support the actions"),
        ({"algorithms": ("pp",)}, "did you mean 'ppo'"),
        ({"settings": ("defaults",)}, "did you mean 'default'"),
        ({"algorithms": ("trpo",), "settings": ("tuned",)}, "no tuned settings for trpo"),
        ({"settings": ()}, "settings must name at least one of default, varied, tuned"),
        ({"steps": ()}, "steps must hold at least one"),
        ({"steps": (10, 0)}, "steps must be a positive integer, got 0"),
        ({"agents": 0}, "agents must be a positive integer, got 0"),
        ({"episodes": 0}, "episodes must be a positive integer, got 0"),
        ({"episodes": 2.5}, "episodes must be a positive integer, got 2.5"),
        ({"control_steps": 0}, "control_steps must be a positive integer, got 0"),
        ({"workers": 0}, "workers must be a positive integer, got 0"),
    ):
        with pytest.raises(UsageError, match=words):
            study(env, "CartPole-v1", TransferPlan(**{**TINY, **wrong}), tmp_path / "out", silent)
    assert not (tmp_path / "out").exists()


def test_results_file_rejects_second_process_and_foreign_content(tmp_path):
    first, second = ResultsFile(tmp_path), ResultsFile(tmp_path)
    with first.locked(), pytest.raises(GTNError, match="another process is working on"), second.locked():
        pass
    (tmp_path / "agents.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(GTNError, match="does not hold results of a transfer study"), first.locked():
        pass


def test_second_process_leaves_locked_results_file_unchanged(tmp_path):
    first = ResultsFile(tmp_path)
    with first.locked():
        first.path.write_text('{"job": ')  # a line that is still being written
        before = first.path.stat().st_ino
        second = ResultsFile(tmp_path)
        with pytest.raises(GTNError, match="another process"), second.locked():
            pass
        assert first.path.stat().st_ino == before
        first.path.write_text("")
        first.add(JOB, {"score": 1.0})
    with second.locked():
        assert second.get(JOB) == {"score": 1.0}


@pytest.mark.parametrize("error", [PermissionError(13, "denied", "elsewhere"), BlockingIOError()])
def test_errors_inside_lock_are_not_reported_as_lock_errors(tmp_path, error):
    with pytest.raises(type(error)), ResultsFile(tmp_path).locked():
        raise error


def test_agents_with_budget_train_until_task_is_solved():
    assert stops_of(JOB) == [10]
    assert stops_of(AgentJob(**{**vars(JOB), "budget": 5000})) == [10, 1000, 1414, 2000, 2828, 4000, 5000]
    easy = run_job(AgentJob(**{**vars(JOB), "role": REAL, "threshold": 5.0, "steps": (10, 20), "budget": 90}))
    assert [stop["steps"] for stop in easy["checkpoints"]] == [10, 20]
    assert easy["solved_at"] == 10
    hard = run_job(AgentJob(**{**vars(JOB), "role": REAL, "threshold": 501.0, "budget": 30}))
    assert (hard["checkpoints"][-1]["taken"], hard["solved_at"]) == (30, None)


@pytest.mark.parametrize("role", [REAL, CLONING])
def test_job_leaves_the_global_random_states_as_they_are(teacher, role):
    env = find_environment(str(teacher))
    job = dataclasses.replace(JOB, role=role, env=env.name, digest=env.digest)
    with own_randomness(0):
        expected = float(torch.rand(())), np.random.random(), random.random()
    with own_randomness(0):
        run_job(job)
        assert (float(torch.rand(())), np.random.random(), random.random()) == expected


DIVERGING = {"learning_rate": 1e30}


@pytest.mark.parametrize(("name", "given"), [("a2c", {}), ("dqn", {"learning_starts": 20})])
def test_agent_that_diverges_has_no_returns_from_then_on(name, given):
    job = dataclasses.replace(JOB, algorithm=name, steps=(4, 40, 80), hyperparameters={**DIVERGING, **given})
    result = run_job(job)
    first, *later = result["checkpoints"]
    assert first["deterministic"]["mean"] > 0
    assert [stop["steps"] for stop in later] == [40, 80]
    assert [(stop["deterministic"], stop["stochastic"]) for stop in later] == [(None, None)] * 2
    assert {stop["taken"] for stop in later} == {result["diverged_at"]}
    assert 4 < result["diverged_at"] <= 40
    assert (result["solved_at"], run_job(JOB)["diverged_at"]) == (None, None)


def test_study_goes_on_without_agents_that_diverge_and_counts_them_as_the_worst(tmp_path, monkeypatch, caplog):
    plan = TransferPlan(**{**TINY, "algorithms": ("a2c", "dqn"), "steps": (4, 40)})
    monkeypatch.setattr("gtn_rl.transfer.plan.hyperparameters", lambda *told: DIVERGING if told[-1] else {})
    monkeypatch.setattr("gtn_rl.transfer.outcome.threshold_of", lambda task: 1.0)  # which any agent reaches
    env = find_environment("CartPole-v1")
    transfer = study(env, "CartPole-v1", plan, tmp_path, silent)
    assert transfer.diverged == ("teacher: a2c, default, agent 1",)  # DQN has not learned yet
    assert "teacher: a2c, default, agent 1 diverged after " in caplog.text
    results = [json.loads(line)["result"] for line in (tmp_path / "agents.jsonl").read_text().splitlines()]
    played = [stop["deterministic"] for result in results for stop in result["checkpoints"] if stop["deterministic"]]
    before, after = (point.deterministic for point in transfer.curves[0].points)
    assert (before.diverged, before.solve_rate) == (0, 1.0)
    assert (after.n, after.diverged, after.solve_rate) == (2, 1, 0.5)
    assert after.minimum == min(figures["minimum"] for figures in played)
    assert transfer.curves[0].points[1].stochastic.diverged == 1
    monkeypatch.setattr("gtn_rl.transfer.study.run_jobs", None)  # fails if any job is left to run
    assert study(env, "CartPole-v1", plan, tmp_path, silent) == transfer
    write_transfer_report(tmp_path, transfer, "")
    text = (tmp_path / "transfer.md").read_text()
    assert "- diverged: teacher: a2c, default, agent 1\n" in text
    assert [row["n"] for row in result_table(transfer)] == ["2", "2 (1 diverged)", "2", "2"]


def test_study_of_agents_that_all_diverge_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("gtn_rl.transfer.plan.hyperparameters", lambda *_: DIVERGING)
    plan = TransferPlan(**{**TINY, "steps": (40,)})
    for _ in range(2):  # the second time, none is trained
        with pytest.raises(DivergedError, match="every agent of the study diverged before it could play"):
            study(find_environment("CartPole-v1"), "CartPole-v1", plan, tmp_path, silent)


@pytest.fixture
def counted():
    """Registers a CartPole, ``Counted-v0``, and yields the list of its copies that are open."""
    opened = []

    class Counted(CartPoleEnv):
        def __init__(self):
            super().__init__()
            opened.append(self)

        def close(self):
            opened.remove(self)

    gym.register("Counted-v0", Counted, max_episode_steps=20)
    yield opened
    del gym.registry["Counted-v0"]


def test_real_task_stays_open_until_a_job_has_another(counted):
    job = dataclasses.replace(JOB, task="Counted-v0", episodes=3)
    run_job(job)
    kept = list(counted)
    assert len(kept) == 3
    run_job(dataclasses.replace(job, number=1))
    assert counted == kept
    run_job(JOB)
    assert not counted


@pytest.mark.parametrize("fails", [False, True])
def test_study_closes_the_real_task_at_its_end(counted, tmp_path, monkeypatch, fails):
    monkeypatch.setattr(ResultsFile, "add", lambda *told: held.append(len(counted)) or (1 / 0 if fails else None))
    held = []
    with pytest.raises(ZeroDivisionError) if fails else contextlib.nullcontext():
        study(find_environment("Counted-v0"), "Counted-v0", TransferPlan(**TINY), tmp_path, silent)
    assert held == [4] * (1 if fails else 2)  # the first agent's own copy is closed already
    assert not counted


def test_failed_agent_closes_its_environments(counted, monkeypatch):
    monkeypatch.setattr(agents, "_judge", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_job(dataclasses.replace(JOB, env="Counted-v0"))
    assert not counted


@pytest.mark.parametrize("name", ["dqn", "a2c"])
def test_budget_does_not_change_earlier_checkpoints(name):
    short = dataclasses.replace(JOB, algorithm=name, steps=(120, 200))
    kept = [run_job(dataclasses.replace(short, budget=budget))["checkpoints"] for budget in (None, 1000)]
    (first, last), longer = kept[0], {stop["steps"]: stop for stop in kept[1]}
    assert len(longer) > 2
    for stop in (first, last):
        for kind in ("deterministic", "stochastic"):
            assert longer[stop["steps"]][kind] == stop[kind]


def test_teacher_changed_during_study_raises(teacher, tmp_path):
    job = dataclasses.replace(JOB, env=str(teacher), digest=find_environment(str(teacher)).digest)
    write_untrained(find_environment(str(teacher)), teacher, seed=1)
    with pytest.raises(GTNError, match="has changed since this study began"):
        run_job(job)


def test_cloning_imitates_greedy_discrete_actions(teacher, monkeypatch):
    monkeypatch.setattr(cloning, "UPDATES", 300)
    env = find_environment(str(teacher))
    states = np.array([[0, 0, 0.1, 0], [0, 0, -0.1, 0]], np.float32)
    assert greedy_outputs(load_environment(teacher), states).tolist() == [1, 0]
    assert clone(env, 200, seed=0).act(states).tolist() == [1, 0]


def test_fitted_reward_has_no_actions_to_clone():
    model, bandit = (find_environment(name) for name in ("GTN-Pendulum-v0", "GTN-PendulumBandit-v0"))
    assert can_be_cloned(bandit)
    assert not can_be_cloned(model)
    with pytest.raises(UsageError, match="GTN-Pendulum-v0 has no greedy actions to clone"):
        clone(model, 10, seed=0)


def test_cloning_imitates_greedy_continuous_actions(tmp_path, monkeypatch):
    monkeypatch.setattr(cloning, "UPDATES", 500)
    env = gym.make("Pendulum-v1")
    tensors = {
        "observation.mean": np.zeros(3),
        "observation.std": np.ones(3),
        "initial.means": np.random.default_rng(0).uniform(-1, 1, size=(64, 3)),
        "initial.log_std": np.full(3, -1.0),
        "reward.0.weight": np.array([[0.0], [1.0], [0.0]]),
        "reward.0.bias": np.zeros(1),
        "reward.scale": np.ones(()),
    }
    document = {"form": "bandit", "task": "Pendulum-v1", "max_episode_steps": 1, "activation": "relu"}
    spaces = {"observation_space": env.observation_space, "action_space": env.action_space}
    save_environment(tmp_path / "P.safetensors", tensors, {**document, **spaces})
    found = find_environment(str(tmp_path / "P.safetensors"))
    states = np.array([[0.5, -0.5, 0], [0.5, 0.5, 0]], np.float32)
    np.testing.assert_allclose(
        greedy_outputs(load_environment(found.file), states)[:, 0], np.tanh([-0.5, 0.5]), rtol=1e-6
    )
    actions = clone(found, 300, seed=0).act(states)
    assert actions.dtype == np.float32
    np.testing.assert_allclose(actions[:, 0], 2 * np.tanh([-0.5, 0.5]), atol=0.15)  # torques lie in [-2, 2]


def test_untrained_control_redraws_only_the_networks(teacher, tmp_path):
    env = find_environment(str(teacher))
    write_untrained(env, tmp_path / "a.safetensors", seed=1)
    write_untrained(env, tmp_path / "b.safetensors", seed=1)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    drawn = find_environment(str(tmp_path / "a.safetensors"))
    before, after = (gym.make(e.id).unwrapped.weights.tensors for e in (env, drawn))
    assert np.array_equal(before["initial.means"], after["initial.means"])
    assert not np.array_equal(before["reward.0.weight"], after["reward.0.weight"])
    kept = {key: value for key, value in env.document.items() if key not in TOLD}
    assert kept.items() <= drawn.document.items()
    with pytest.raises(UsageError, match="not a teacher from this package"):
        write_untrained(find_environment("CartPole-v1"), tmp_path / "c.safetensors", seed=1)


def test_summary_statistics_and_solve_thresholds():
    assert interquartile_mean(np.array([0.0, 10.0, 20.0, 100.0])) == 15
    figures = summarise([500.0] * 5, 475.0)
    assert (figures.low, figures.high, figures.solve_rate, figures.spread) == (500, 500, 1, 0)
    figures = summarise(list(np.random.default_rng(0).normal(size=200)), 0.0)
    assert -0.25 < figures.low < figures.iqm < figures.high < 0.25
    assert summarise([1.0], None).low is None
    assert threshold_of("CartPole-v1") == 475
    assert threshold_of("gtn_envs:Pendulum-v1") == -200
    assert threshold_of("no-such-task") is None


def result(at, seconds):
    return {"solved_at": at, "solved_cpu_seconds": seconds, "checkpoints": [{"cpu_seconds": 2.0}]}


def test_pay_off_divides_cost_by_savings_per_agent():
    times = solve_times(
        [result(1000, 4.0), result(3000, 8.0), result(None, None)], 9000
    )  # agents that fail count in the cost
    assert (times["solved"], times["median_steps"], times["cpu_seconds_per_solved"]) == (2, 3000, 7.0)
    cost = {"real_steps": 30_000, "cpu_seconds": 20.0}
    taught = solve_times([result(1000, 3.0), result(None, None)], 1000)
    found = pay_off(cost, times, taught, on_real_dynamics=False)
    assert (found["agents_by_real_steps"], found["agents_by_cpu_seconds"]) == (10, 10)
    on_reward = pay_off(cost, times, solve_times([result(1000, 2.0)], 1000), on_real_dynamics=True)
    assert (on_reward["agents_by_real_steps"], on_reward["agents_by_cpu_seconds"]) == (15, 4)
    assert pay_off({}, times, taught, on_real_dynamics=False) == {}
    assert solve_times([result(1, 0.0)], 1000)["cpu_seconds_per_solved"] == 0.0


def test_pay_off_is_none_if_never_and_a_bound_if_censored():
    cost = {"real_steps": 30_000, "cpu_seconds": 20.0}
    solved, censored = (solve_times([one], 9000) for one in (result(3000, 6.0), result(None, None)))
    by_nobody = pay_off(cost, solved, censored, on_real_dynamics=False)
    assert by_nobody == {"agents_by_real_steps": None, "agents_by_cpu_seconds": None}
    too_slow = pay_off(cost, solved, solve_times([result(4000, 7.0)], 9000), on_real_dynamics=True)
    assert too_slow == {"agents_by_real_steps": None, "agents_by_cpu_seconds": None}
    bound = pay_off(cost, censored, solved, on_real_dynamics=False)
    assert bound == {"agents_by_real_steps_at_most": pytest.approx(10 / 3)}


@pytest.mark.parametrize("mode", ["state-action", "potential"])
def test_study_of_learned_reward_has_no_cloning_control(teacher, tmp_path, mode):
    """Its agents step the real task, and it has no initial states from which contexts could be drawn."""
    weights = load_environment(teacher)
    kept = {name: tensor for name, tensor in weights.tensors.items() if not name.startswith("initial.")}
    if mode == "potential":
        kept |= {"reward.0.weight": np.ones((4, 1)), "reward.0.bias": np.zeros(1)}
    document = {
        key: weights.document[key] for key in ("task", "observation_space", "action_space", "activation", "metrics")
    }
    path = tmp_path / "Reward.safetensors"
    save_environment(path, kept, {**document, "form": "reward", "reward_mode": mode, "gamma": 0.9})
    plan = TransferPlan(**{**TINY, "agents": 1, "steps": (20,), "control_steps": 20})
    transfer = study(find_environment(str(path)), "CartPole-v1", plan, tmp_path / "out", silent)
    assert [curve.role for curve in transfer.curves] == [TEACHER, UNTRAINED, REAL]
    write_transfer_report(tmp_path / "out", transfer, "gtn-cli transfer")
    assert (
        "- cost of its meta-training: 6,000 real steps, 5 CPU-seconds" in (tmp_path / "out" / "transfer.md").read_text()
    )
    assert transfer.solving[0]["agents_by_real_steps_at_most"] is None  # no agent solves the task in 20 steps
