"""What plots hold is what the documents say, and nothing else; what people named is escaped."""

from __future__ import annotations

import math
import time

import numpy as np
import orjson
import pytest
from arrhenius_data import TEMPERATURES_K, bound, law, melted, value
from ranked_rows import row
from stability_data import STEPS, stability

from screening.motion.documents import MotionReport, Percolation, VanHove
from screening.transport.arrhenius import fit_arrhenius
from screening.transport.documents import Diffusivity, MsdCurve, Transport
from workflows.dashboard.plot import Plot, rounded
from workflows.dashboard.plots.arrhenius import arrhenius
from workflows.dashboard.plots.landscape import landscape, orderings
from workflows.dashboard.plots.msd import msd
from workflows.dashboard.plots.pareto import ID_IN_URL, pareto
from workflows.dashboard.plots.voltage import voltage
from workflows.ordering_energies import OrderingEnergy
from workflows.words import lowered, number, plain


def url_of(identifier):
    return f"/c/x/candidates/{identifier}"


def named(plot, name):
    return next(trace for trace in plot.traces if trace.get("name") == name)


def sound(plot: Plot):
    """It can be sent, has all its forms, and draws in both widths."""
    assert orjson.dumps([plot.traces, plot.layout, plot.rows])
    assert plot.summary.endswith(".")
    assert plot.draw("page").get_figwidth() == pytest.approx(2 * plot.draw("column").get_figwidth())
    return plot


class TestWords:
    def test_what_people_named_is_shown_as_it_is(self):
        assert plain("<b>&") == "&lt;b&gt;&amp;"
        assert lowered("<K2Ta3Cl9>") == "&lt;K<sub>2</sub>Ta<sub>3</sub>Cl<sub>9</sub>&gt;"
        assert lowered("0.333 K2Ta3Cl9 + 4 KCl").startswith("0.333 K<sub>2</sub>")
        assert lowered("K0.45MnO2") == "K<sub>0.45</sub>MnO<sub>2</sub>"

    @pytest.mark.parametrize(
        ("given", "text"),
        [
            (2.345678, "2.35"),
            (-0.5, "−0.5"),
            (1.234e-7, "1.23 × 10⁻⁷"),
            (0, "0"),
            (123456, "1.23 × 10⁵"),
        ],
    )
    def test_numbers_have_three_digits(self, given, text):
        assert number(given) == text

    def test_drawn_numbers_are_short(self):
        assert rounded(1.23456789e-7) == 1.235e-7
        assert rounded(None) is None


class TestPareto:
    ROWS = (
        row("wide", 4.0, 1e-6),
        row("quick", 1.0, 1e-2, mobile_ion="Na"),
        row("bound", 2.0, bound_S_cm=1e-4),
        row("suspect", 5.0, 1e-1, rank=None, pareto_front=None, suspect=True),
        row("unknown", 3.0),
    )

    def points(self, plot):
        return [trace for trace in plot.traces if "customdata" in trace]

    def test_each_candidate_is_where_its_numbers_are(self):
        plot = sound(pareto(self.ROWS, url_of, None))
        at = {
            identifier: (x, y)
            for trace in self.points(plot)
            for identifier, x, y in zip(trace["customdata"], trace["x"], trace["y"], strict=True)
        }
        assert at == {
            "wide": (4, 1e-6), "quick": (1, 1e-2), "bound": (2, 1e-4), "suspect": (5, 1e-1)
        }  # fmt: skip
        assert [r["id"] for r in plot.rows] == ["wide", "quick", "bound", "suspect"]
        assert plot.rows[2]["conductivity_300K_S_cm_upper_bound"] == 1e-4
        assert plot.layout["yaxis"]["title"]["text"] == "σ(300 K) (S/cm)"
        assert plot.layout["meta"]["url"] == url_of(ID_IN_URL)

    def test_bars_go_both_ways(self):
        trace = next(
            t for t in pareto(self.ROWS, url_of, None).traces if t.get("customdata") == ["wide"]
        )
        assert trace["error_x"]["arrayminus"] == pytest.approx([0.1])
        assert trace["error_x"]["array"] == pytest.approx([0.2])
        assert trace["error_y"]["arrayminus"] == pytest.approx([5e-7], abs=0)
        assert trace["error_y"]["array"] == pytest.approx([1e-6], abs=0)

    def test_a_bound_is_a_bar_with_an_arrow_and_no_point(self):
        traces = [
            t for t in self.points(pareto(self.ROWS, url_of, None)) if t["customdata"] == ["bound"]
        ]
        assert [t["marker"]["symbol"] for t in traces] == ["line-ew-open", "arrow-down"]
        assert all("error_y" not in trace for trace in traces)
        assert "&lt; 1" in traces[0]["text"][0]

    def test_bounds_are_rounded_up(self):
        rows = [row("loose", 2.0, bound_S_cm=0.8014), row("wide", 4.0, bound_S_cm=1.911e-5)]
        hovers = [t["text"][0] for t in self.points(pareto(rows, url_of, None)) if "text" in t]
        assert any("&lt; 0.802 S/cm" in text for text in hovers)
        small = self.points(pareto(rows, url_of, []))[0]
        assert small["y"] == [0.802, 1.92e-5]

    def test_colour_and_symbol_are_those_of_the_ion_hollow_without_a_rank(self):
        markers = {
            t["customdata"][0]: t["marker"] for t in self.points(pareto(self.ROWS, url_of, None))
        }
        assert markers["wide"]["color"] == markers["suspect"]["color"] != markers["quick"]["color"]
        assert markers["wide"]["symbol"] != markers["quick"]["symbol"]
        assert markers["suspect"]["symbol"] == f"{markers['wide']['symbol']}-open"

    def test_the_first_front_is_joined_and_ringed(self):
        plot = pareto(self.ROWS, url_of, None)
        assert named(plot, "first front")["x"] == [1.0, 4.0]
        wide = next(t for t in self.points(plot) if t["customdata"] == ["wide"])
        assert wide["marker"]["line"]["width"] == [2]

    def test_those_without_bars_are_small(self):
        plot = pareto(self.ROWS, url_of, ["wide"])
        with_bars = {t["customdata"][0] for t in self.points(plot) if "error_y" in t}
        assert with_bars == {"wide"}

    def test_with_nothing_to_draw_it_says_so(self):
        plot = sound(pareto([row("a")], url_of, None))
        assert (plot.traces, plot.rows) == ((), ())
        assert "No candidate has both" in plot.summary

    def test_ten_thousand_are_quick_and_small(self):
        rng = np.random.default_rng(0)
        rows = [
            row(
                f"K{i}TaCl6-k2ptcl6-1",
                float(rng.uniform(0, 5)),
                sigma_S_cm=float(10 ** rng.uniform(-8, -2)) if i % 3 else None,
                bound_S_cm=None if i % 3 else float(10 ** rng.uniform(-8, -2)),
                mobile_ion=("Li", "Na", "K")[i % 7 % 3],
                pareto_front=1 + i // 20,
            )
            for i in range(10_000)
        ]
        shown = [r.id for r in rows[:100]]
        pareto(rows, url_of, shown)
        took_s = math.inf
        for _ in range(3):
            began = time.process_time()
            plot = pareto(rows, url_of, shown)
            took_s = min(took_s, time.process_time() - began)
        assert took_s < 0.3  # 0.07 on a machine that does nothing else
        assert len(orjson.dumps(plot.traces)) < 700_000
        assert sum(len(t["error_x"]["array"]) for t in plot.traces if "error_x" in t) == 100


class TestVoltage:
    def test_pieces_cover_the_axis_and_name_what_is_in_equilibrium(self):
        plot = sound(voltage(stability(own=(2.334, 4.855, 0.2)), "K"))
        pieces = [t for t in plot.traces if t["type"] == "bar"]
        ends = [0.0]
        for piece in pieces:
            assert piece["base"] == [pytest.approx(ends[-1], abs=2e-3)]
            ends.append(piece["base"][0] + piece["x"][0])
        assert ends[1:] == pytest.approx([1.3, 2.334, 4.855, 6.0], abs=2e-3)
        assert "K<sub>2</sub>Ta<sub>3</sub>Cl<sub>9</sub>" in pieces[1]["hovertemplate"]
        colours = [piece["marker"]["color"] for piece in pieces]
        assert colours.count(colours[2]) == 1
        assert plot.layout["xaxis"]["title"]["text"] == "potential against K/K⁺ (V)"
        assert [r["is_window"] for r in plot.rows] == [False, False, True, False]
        assert plot.rows[-1]["high_V"] is None

    def test_brackets_are_68_percent_of_both_limits(self):
        plot = voltage(stability(own=(2.334, 4.855, 0.2)), "K")
        brackets = [t for t in plot.traces if t["type"] == "scatter"]
        assert [b["x"] for b in brackets] == [[2.334], [4.855]]
        assert all(b["error_x"]["array"] == pytest.approx([0.2]) for b in brackets)
        assert "2.33 V (68 %: 2.13…2.53)" in plot.summary

    def test_a_metastable_candidate_has_a_bar_of_its_own(self):
        plot = sound(voltage(stability(own=(1.5, 4.5), of="equilibrium"), "Na"))
        own = plot.traces[-1]
        assert (own["base"], own["x"], own["y"] < [0]) == ([1.5], [3.0], True)
        assert "1.50–4.50 V" in plot.summary

    def test_no_window_is_said(self):
        none = stability(own=(3, 2), equilibrium=(2.3, 2.3), of="equilibrium")
        plot = sound(voltage(none, "K"))
        assert plot.summary.startswith("No window against K/K⁺.")
        assert not any(r["is_window"] for r in plot.rows)

    def test_what_lies_beyond_the_axis_is_in_the_table_alone(self):
        plot = voltage(stability(STEPS | {7.5: {"KTaCl6": 1.0}}), "K")
        assert len([t for t in plot.traces if t["type"] == "bar"]) == 4
        assert len(plot.rows) == 5


def transport(entries, **known):
    return Transport(
        diffusivities=tuple(entries),
        arrhenius=fit_arrhenius(entries, n_mobile=4, volume_A3=1000.0),
        **known,
    )


class TestArrhenius:
    def test_values_bounds_law_and_extrapolation(self):
        values = [value(t, law(t), 0.2) for t in TEMPERATURES_K]
        entries = [bound(450.0), *values, melted(value(1200.0, 1e-3))]
        known = transport(entries)
        plot = sound(arrhenius(known))
        points = named(plot, "D, 68 %")
        assert points["x"] == pytest.approx([1000 / t for t in TEMPERATURES_K], rel=1e-4)
        assert points["y"] == pytest.approx([law(t) for t in TEMPERATURES_K], rel=1e-3, abs=0)
        assert points["error_y"]["array"][0] == pytest.approx(
            law(600.0) * (math.exp(0.2) - 1), rel=1e-3, abs=0
        )
        assert named(plot, "D, 68 %, framework moves")["marker"]["symbol"] == "circle-open"
        assert named(plot, "upper bound, 95 %")["x"] == pytest.approx([1000 / 450], rel=1e-4)
        line, dashed = named(plot, "Arrhenius law"), named(plot, "extrapolated")
        assert dashed["line"]["dash"] == "dash"
        assert (max(dashed["x"]), min(line["x"])) == pytest.approx((1000 / 300, 1.0), rel=1e-4)
        assert dashed["x"][-1] == line["x"][0] == pytest.approx(1000 / 600, rel=1e-4)
        assert dashed["y"][0] == pytest.approx(known.arrhenius.D_300K_cm2_s, rel=1e-3, abs=0)
        band = named(plot, "68 % of the law")
        assert band["fill"] == "tonexty"
        assert band["y"][0] == pytest.approx(known.arrhenius.D_300K_68_cm2_s[1], rel=1e-3, abs=0)
        assert {r["kind"] for r in plot.rows} == {"measured", "law", "extrapolated"}

    def test_the_second_axis_is_in_kelvin(self):
        plot = arrhenius(transport([value(600.0, 1e-6), value(800.0, 1e-5)]))
        axis = plot.layout["xaxis2"]
        assert axis["ticktext"] == ["300", "600", "800"]
        assert axis["tickvals"] == pytest.approx([1000 / 300, 1000 / 600, 1.25], rel=1e-4)
        assert any(trace.get("xaxis") == "x2" for trace in plot.traces)

    def test_bounds_alone_have_no_line(self):
        plot = sound(arrhenius(transport([bound(600.0), bound(700.0)])))
        assert all(trace["mode"] == "markers" for trace in plot.traces)
        assert named(plot, "bound at 300 K")["y"] == [1e-7]
        assert "No Arrhenius law" in plot.summary
        assert (
            "700 K: < 1.92 × 10⁻⁵ cm²/s" in arrhenius(transport([bound(700.0, 1.911e-5)])).summary
        )

    def test_nothing_gives_no_plot(self):
        nothing = transport([bound(600.0)]).model_copy(update={"diffusivities": ()})
        assert arrhenius(nothing) is None


class TestMsd:
    LAGS_PS = (0.0, 1.0, 3.0, 10.0)

    def diffusivity(self, **known):
        curves = (
            MsdCurve(species="Cl", lag_ps=self.LAGS_PS, msd_A2=(0, 0.1, 0.1, 0.1)),
            MsdCurve(species="K", lag_ps=self.LAGS_PS, msd_A2=(0, 2, 6, 20)),
        )
        defaults = {
            "D_cm2_s": 2e-5, "D_68_cm2_s": (1e-5, 3e-5), "diffusive_from_ps": 1.0,
            "msd_offset_A2": 0.5, "msd": curves,
        }  # fmt: skip
        return Diffusivity(
            species="K", temperature_K=600, duration_ps=30, n_hops=50, **defaults | known
        )

    def test_curves_region_and_line(self):
        plot = sound(msd(self.diffusivity()))
        assert plot.name == "msd_600K"
        assert [t["name"] for t in plot.traces[:2]] == ["K", "Cl"]
        assert plot.traces[0]["x"] == [1, 3, 10]  # a log axis has no zero
        (region,) = plot.layout["shapes"]
        assert (region["x0"], region["x1"]) == (1.0, 10.0)
        line = plot.traces[-1]
        assert (line["x"][0], line["y"][0]) == pytest.approx((1.0, 6 * 0.2 * 1 + 0.5))
        assert (line["x"][-1], line["y"][-1]) == pytest.approx((10.0, 6 * 0.2 * 10 + 0.5))
        assert [r["is_fitted"] for r in plot.rows if r["species"] == "K"] == [
            False,
            True,
            True,
            True,
        ]

    def test_a_bound_is_dotted_and_without_a_region(self):
        changes = {"D_cm2_s": None, "D_68_cm2_s": None, "diffusive_from_ps": None}
        plot = sound(msd(self.diffusivity(**changes, upper_bound_cm2_s=1e-5, reason="few hops")))
        assert plot.traces[-1]["line"]["dash"] == "dot"
        assert plot.traces[-1]["name"].startswith("D &lt; ")
        assert plot.layout["shapes"] == []

    def test_no_curves_give_no_plot(self):
        assert msd(self.diffusivity(msd=())) is None
        still = MsdCurve(species="K", lag_ps=self.LAGS_PS, msd_A2=(0, 0, 0, 0))
        assert msd(self.diffusivity(msd=(still,))) is None


def report(temperature_K, dimension=2):
    return MotionReport(
        species="K",
        temperature_K=temperature_K,
        duration_ps=100,
        n_ions=4,
        percolation=Percolation(
            dimension=dimension,
            barriers_eV=(0.2, 0.3)[:dimension],
            errors_eV=(0.01, None)[:dimension],
            barriers_along_abc_eV=(0.2, None, 0.3) if dimension else (None,) * 3,
            seen_up_to_eV=0.5,
            spacing_A=0.2,
        ),
        sites=(),
        jumps=None,
        van_hove=VanHove(self_r_A=(), distinct_r_A=(), curves=()),
    )


class TestLandscape:
    def test_barriers_and_up_to_where_the_run_sees(self):
        plot = sound(landscape([report(600), report(800)]))
        first = named(plot, "600 K")
        assert first["y"] == [0.2, 0.3, 0.2, 0.3]
        assert [round(x) for x in first["x"]] == [0, 1, 3, 5]  # no path along b
        assert set(named(plot, "800 K")["x"]).isdisjoint(first["x"])
        assert named(plot, "600 K sees up to here")["y"] == [0.5, 0.5]
        barriers = {(r["temperature_K"], r["path"]): r["barrier_eV"] for r in plot.rows}
        assert barriers[600, "2D"] == 0.3
        assert barriers[600, "3D"] is None

    def test_no_path_is_said(self):
        plot = sound(landscape([report(600, dimension=0)]))
        assert "do not run through the crystal" in plot.summary

    def test_no_run_gives_no_plot(self):
        assert landscape([]) is None


class TestOrderings:
    ENERGIES = (OrderingEnergy("K-1", 24, 0.0, 0.9), OrderingEnergy("K-2", 2, 0.003, 0.1))

    def test_the_own_one_is_marked(self):
        plot = sound(orderings(self.ENERGIES, "K-2"))
        assert plot.traces[0]["customdata"] == ["K-1", "K-2"]
        assert plot.traces[0]["y"] == [0, 3]
        assert (plot.traces[1]["x"], plot.traces[1]["y"]) == ([2], [3])
        assert "K-2 is number 2, 3 meV/atom" in plot.summary

    def test_none_give_no_plot(self):
        assert orderings((), "K-1") is None
