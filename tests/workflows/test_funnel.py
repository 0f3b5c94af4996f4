"""The funnel: nobody is lost or counted twice, and gates are asked in the order of the stages."""

from __future__ import annotations

from itertools import pairwise

from campaigns import CELLS, halideflow, overlapping, write_campaign
from hypothesis import given
from hypothesis import strategies as st

from screening.documents import Failure, Rejection
from screening.gates import Gates
from screening.ranked import RankedCandidate
from workflows.cli.results import open_results
from workflows.funnel import campaign_funnel, funnel, rejection_label

GATES = Gates(
    max_volume_change_percent=20,
    max_e_above_lowest_eV_per_atom=0,
    max_e_hull_eV_per_atom=0.05,
    min_window_V=1.0,
    min_diffusivity_cm2_s=1e-7,
)
EARLY = (
    "max_volume_change_percent",
    "max_e_above_lowest_eV_per_atom",
    "max_e_hull_eV_per_atom",
    "min_window_V",
)


def row(state, stage, number=0, **fields) -> RankedCandidate:
    return RankedCandidate(
        rank=None,
        id=f"c{number}",
        formula="KCl",
        mobile_ion="K",
        state=state,
        stage=stage,
        engine="chgnet",
        host="mine.cif",
        degeneracy=1,
        **fields,
    )


@st.composite
def rows(draw) -> RankedCandidate:
    state = draw(st.sampled_from(["waiting", "running", "done", "rejected", "failed"]))
    stages = ["enumerate", "relax", "polymorph", "lowest", "stability", "gates", "dynamics"]
    fields = {"e_hull_eV_per_atom": draw(st.none() | st.floats(0, 0.2))}
    fields["window_V"] = draw(st.none() | st.floats(0, 3))
    if state == "rejected":
        gate = draw(st.sampled_from(list(Gates.model_fields)))
        value = draw(st.none() | st.floats(0, 1))
        fields["rejection"] = Rejection(gate=gate, value=value, threshold=0.5)
    if state == "failed":
        fields["failure"] = Failure(
            code=draw(st.sampled_from(["LOST", "NOT_CONVERGED"])), message=""
        )
    fields["suspect"] = draw(st.booleans())
    return row(state, draw(st.sampled_from([*stages, "transport", "quench"])), **fields)


@given(
    listed=st.lists(rows(), max_size=12),
    left_out=st.dictionaries(
        st.text(max_size=4), st.sampled_from(["no charge; x", "no charge; y"])
    ),
    gates=st.sampled_from([GATES, Gates(), Gates(max_e_hull_eV_per_atom=None)]),
    with_dynamics=st.booleans(),
    in_dynamics=st.sampled_from([set(), {"c0"}]),
)
def test_nobody_is_lost_or_counted_twice(listed, left_out, gates, with_dynamics, in_dynamics):
    steps = funnel(listed, gates, left_out, with_dynamics=with_dynamics, in_dynamics=in_dynamics)
    assert steps[0].entered == len(listed) + len(left_out)
    for before, after in pairwise(steps):
        assert after.entered == before.passed
    for step in steps:
        assert step.entered == step.passed + step.rejected + step.failed + step.unfinished
        assert min(step.entered, step.passed, step.rejected, step.failed, step.unfinished) >= 0
        assert sum(number for _, number in step.reasons) == step.rejected + step.failed
    assert steps[-1].passed == sum(r.state == "done" and not r.suspect for r in listed)
    assert len({step.name for step in steps}) == len(steps)


def test_gates_are_steps_in_the_order_in_which_they_are_asked():
    steps = funnel([], GATES, {})
    assert [step.name for step in steps] == [
        "enumerated",
        "relaxed",
        "stability",
        *EARLY,
        "dynamics",
        "min_diffusivity_cm2_s",
        "ranked",
    ]
    labels = {step.name: step.label for step in steps}
    assert labels["max_e_hull_eV_per_atom"] == "E above hull ≤ 0.05 eV/atom"
    assert labels["min_diffusivity_cm2_s"] == "D at every temperature ≥ 1e-07 cm²/s"


def test_who_waits_is_where_its_next_verdict_comes_from():
    gates = Gates(max_e_hull_eV_per_atom=0.05, min_window_V=1.0)
    listed = [
        row("waiting", "transport", 1, e_hull_eV_per_atom=0.2, window_V=2.0),  # will be rejected
        row("waiting", "transport", 2, e_hull_eV_per_atom=0.0, window_V=0.5),
        row("waiting", "transport", 3, e_hull_eV_per_atom=0.0, window_V=2.0),
        row("running", "relax", 4),
    ]
    steps = {step.name: step for step in funnel(listed, gates, {})}
    names = ("relaxed", "stability", *EARLY[2:], "dynamics")
    assert [steps[name].unfinished for name in names] == [1, 0, 1, 1, 1]


def test_nothing_but_a_run_says_that_a_gate_of_unknown_value_is_passed():
    waiting = row("waiting", "transport", 1, e_hull_eV_per_atom=0.0, window_V=2.0)
    for moving, where in ((set(), EARLY[0]), ({"c1"}, "dynamics")):
        steps = {step.name: step for step in funnel([waiting], GATES, {}, in_dynamics=moving)}
        assert steps[where].unfinished == 1


def test_reasons_are_grouped():
    left_out = {
        "KTaCl6": "neutral only with Ta 5+; allowed: Ta 4+",
        "K3": "neutral only with Ta 5+",
    }
    listed = [
        row("rejected", "gates", n, rejection=Rejection(
            gate="max_e_hull_eV_per_atom", value=value, threshold=0.05
        ))
        for n, value in enumerate((0.06, 0.31))
    ]  # fmt: skip
    steps = {step.name: step for step in funnel(listed, GATES, left_out)}
    assert steps["enumerated"].reasons == (("neutral only with Ta 5+", 2),)
    assert steps["max_e_hull_eV_per_atom"].reasons == (("E above hull 60…310 meV/atom", 2),)


def test_a_rejection_in_words():
    hull = Rejection(gate="max_e_hull_eV_per_atom", value=0.21, threshold=0.05)
    assert rejection_label(hull) == "E above hull 210 meV/atom, allowed ≤ 50"
    window = Rejection(gate="min_window_V", value=None, threshold=1)
    assert rejection_label(window) == "Window unknown, allowed ≥ 1"


def test_of_a_campaign_without_dynamics(tmp_path):
    cells = {"kcl": CELLS["kcl"], "nacl": CELLS["nacl"], "bad": ("K", overlapping())}
    config = write_campaign(tmp_path, cells, temperatures=())
    halideflow("run", config, "--workers", "1")
    results = open_results(config)
    steps = campaign_funnel(results, results.ranking())
    assert [(step.name, step.passed, step.rejected + step.failed) for step in steps] == [
        ("enumerated", 3, 0),
        ("relaxed", 2, 1),
        ("stability", 2, 0),
        ("max_e_hull_eV_per_atom", 2, 0),
        ("ranked", 2, 0),
    ]
    assert steps[1].failed == 1
