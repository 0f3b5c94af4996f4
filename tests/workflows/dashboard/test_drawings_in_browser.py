"""plots.js and structure.js in a real browser under the dashboard's Content-Security-Policy."""

from __future__ import annotations

import numpy as np
import orjson
import pytest
from arrhenius_data import TEMPERATURES_K, bound, law, value
from browsers import CHROMIUM, Visit, chromium
from drawing_pages import drawings
from pymatgen.core import Structure
from ranked_rows import row
from stability_data import stability

from screening.prototypes.library import load_prototype
from screening.transport.arrhenius import fit_arrhenius
from screening.transport.documents import Transport
from workflows.dashboard.plots.arrhenius import arrhenius
from workflows.dashboard.plots.pareto import pareto
from workflows.dashboard.plots.voltage import voltage
from workflows.dashboard.scene import structure_scene
from workflows.vacant_sites import VacantSite, VacantSites

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")

ROWS = [
    row("low", 1.0, 1e-6), row("middle", 2.0, 1e-4), row("high", 3.0, 1e-2),
    row("bound", 2.5, bound_S_cm=1e-5),
]  # fmt: skip
FIGURE = (
    '<figure class="plot" id="{0}" data-src="/{0}.json" {1}><figcaption><span class="summary">'
    "</span></figcaption></figure>"
)
ZOOM = "range => Plotly.relayout(document.querySelector('#pareto .canvas'), {'xaxis.range': range})"


def url_of(identifier):
    return f"/candidates/{identifier}"


def voltages(**known):
    return voltage(stability(**known), "K")


def arrheniuses():
    entries = [bound(450.0), *(value(t, law(t), 0.2) for t in TEMPERATURES_K)]
    fitted = fit_arrhenius(entries, n_mobile=4, volume_A3=1000.0)
    return arrhenius(Transport(diffusivities=tuple(entries), arrhenius=fitted))


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


@pytest.fixture
def served():
    with drawings() as server:
        server.plot("/pareto.json", pareto(ROWS, url_of, None))
        server.plot("/voltage.json", voltages(own=(2.334, 4.855, 0.2)))
        server.plot("/arrhenius.json", arrheniuses())
        yield server


@pytest.fixture
def visit(browser):
    context = browser.new_context(viewport={"width": 900, "height": 900}, color_scheme="light")
    yield Visit.of(context)
    context.close()


def opened(visit, served, *names, attributes=""):
    """A page with these figures, all drawn."""
    page = visit.page
    page.goto(served.page("".join(FIGURE.format(name, attributes) for name in names)))
    for name in names:
        page.locator(f"#{name}[data-drawn]").wait_for()
    return page


def background(page, name):
    return page.locator(f"#{name} .main-svg").first.evaluate("svg => svg.style.background")


def inside(page, name):
    """Box of the axes of a plot, and its corners in the plot's own numbers."""
    box = page.locator(f"#{name} .nsewdrag").first.bounding_box()
    axes = page.evaluate(
        "id => { const full = document.querySelector(`#${id} .canvas`)._fullLayout;"
        "return [full.xaxis.range, full.yaxis.range] }",
        name,
    )
    return box, axes


def drag(page, box, start, end):
    """The mouse over shares of a box."""
    ends = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*ends[0])
    page.mouse.down()
    page.mouse.move(*ends[1], steps=5)
    page.mouse.up()


class TestPlots:
    def test_all_are_drawn_named_and_clean(self, browser, visit, served, tmp_path):
        for scheme in ("light", "dark"):
            context = browser.new_context(color_scheme=scheme)
            visit = Visit.of(context)
            page = opened(visit, served, "pareto", "voltage", "arrhenius")
            for name in ("pareto", "voltage", "arrhenius"):
                summary = orjson.loads(served.files[f"/{name}.json"])["summary"]
                canvas = page.locator(f"#{name} .canvas")
                assert canvas.get_attribute("role") == "group"
                assert canvas.get_attribute("aria-label") == summary
                assert page.locator(f"#{name} .summary").text_content() == summary
            visit.check(tmp_path / f"{scheme}.png")
            context.close()

    def test_formulas_are_lowered(self, visit, served):
        page = opened(visit, served, "voltage")
        size = "tspan => parseFloat(getComputedStyle(tspan).fontSize)"
        lowered = page.locator("#voltage .bartext tspan", has_text="6").last.evaluate(size)
        normal = page.locator("#voltage .bartext").first.evaluate(size)
        assert lowered < normal

    def test_colours_follow_the_page(self, visit, served):
        page = opened(visit, served, "pareto")
        assert background(page, "pareto") == "rgb(255, 255, 255)"
        page.emulate_media(color_scheme="dark")
        page.locator("#pareto .main-svg").first.evaluate(
            "svg => new Promise(done => setInterval(() => svg.style.background.includes('22, 24') "
            "&& done(), 20))"
        )
        assert background(page, "pareto") == "rgb(22, 24, 29)"

    def test_figures_that_come_later_are_drawn_and_those_that_go_forgotten(self, visit, served):
        page = opened(visit, served, "pareto")
        page.evaluate(
            "html => document.querySelector('main').insertAdjacentHTML('beforeend', html)",
            FIGURE.format("voltage", ""),
        )
        page.locator("#voltage[data-drawn]").wait_for()
        page.evaluate("document.querySelector('#pareto').remove()")
        assert visit.complaints == []

    def test_what_is_live_is_asked_again_and_keeps_the_zoom(self, visit, served):
        visit.page.clock.install()
        page = opened(visit, served, "pareto", attributes="data-live")
        page.evaluate(ZOOM, [1.5, 2.5])
        asked = served.asked.count("/pareto.json")
        page.clock.run_for(5500)
        visit.settle()
        assert served.asked.count("/pareto.json") == asked + 1
        served.plot("/pareto.json", pareto([*ROWS, row("new", 2.1, 1e-3)], url_of, None))
        page.clock.run_for(5500)
        page.locator("#pareto .canvas[aria-label^='5 candidates']").wait_for()
        _, (x, _) = inside(page, "pareto")
        assert x == [1.5, 2.5]

    def test_another_source_is_fetched(self, visit, served):
        page = opened(visit, served, "pareto")
        served.plot("/pareto.json?y=1", pareto(ROWS[:2], url_of, None))
        page.evaluate("document.querySelector('#pareto').dataset.src = '/pareto.json?y=1'")
        page.locator("#pareto .canvas[aria-label^='2 candidates']").wait_for()

    def test_errors_and_empty_plots_are_told(self, visit, served):
        served.files["/voltage.json"] = 500
        served.plot("/arrhenius.json", pareto([row("a")], url_of, None))
        body = "".join(FIGURE.format(name, "") for name in ("voltage", "arrhenius"))
        visit.page.goto(served.page(body))
        message = visit.page.locator("#voltage .plot-message")
        assert message.text_content() == "This plot cannot be shown: the server answers 500."
        message = visit.page.locator("#arrhenius .plot-message")
        assert message.text_content().startswith("No candidate has both a window")

    def test_a_plot_that_can_no_longer_be_had_stays_and_says_it_is_old(self, visit, served):
        visit.page.clock.install()
        page = opened(visit, served, "pareto", attributes="data-live")
        served.files["/pareto.json"] = 503
        page.clock.run_for(5500)
        message = page.locator("#pareto .plot-message")
        assert message.text_content() == "This plot may be old: the server answers 503."
        assert page.locator("#pareto .point").count() > 0

    def test_a_box_is_told_with_its_ids_and_ranges(self, visit, served):
        page = opened(visit, served, "pareto", attributes="data-select")
        page.evaluate(
            "window.told = []; document.addEventListener('plot:select', e => told.push(e.detail))"
        )
        box, (x, y) = inside(page, "pareto")
        assert y[0] < -6
        at = {"middle": (2.0, -4), "bound": (2.5, -5), "low": (1.0, -6), "high": (3.0, -2)}
        shares = {
            name: ((v - x[0]) / (x[1] - x[0]), 1 - (s - y[0]) / (y[1] - y[0]))
            for name, (v, s) in at.items()
        }
        left = (shares["low"][0] + shares["middle"][0]) / 2
        right = (shares["bound"][0] + shares["high"][0]) / 2
        top = (shares["high"][1] + shares["middle"][1]) / 2
        bottom = (shares["bound"][1] + shares["low"][1]) / 2
        drag(page, box, (left, top), (right, bottom))
        page.wait_for_timeout(200)
        (told,) = page.evaluate("told")
        assert sorted(told["ids"]) == ["bound", "middle"]
        assert sorted(told["ranges"]["x"]) == pytest.approx([1.5, 2.75], abs=0.05)
        assert sorted(np.log10(told["ranges"]["y"])) == pytest.approx([-5.5, -3], abs=0.1)
        page.wait_for_timeout(700)
        page.mouse.dblclick(box["x"] + 0.05 * box["width"], box["y"] + 0.05 * box["height"])
        page.wait_for_timeout(700)
        assert page.evaluate("told")[1:] == [{"ids": None, "ranges": None}]

    def test_without_being_asked_for_there_is_no_box(self, visit, served):
        page = opened(visit, served, "pareto")
        assert (
            page.locator("#pareto .canvas").evaluate("canvas => canvas.layout.dragmode") == "zoom"
        )

    def test_a_highlight_fades_all_others_until_it_ends(self, visit, served):
        page = opened(visit, served, "pareto")

        def highlight(ids):
            page.evaluate(
                "ids => document.querySelector('#pareto').dispatchEvent("
                "new CustomEvent('plot:highlight', {detail: {ids}}))",
                ids,
            )

        def faded():
            return page.evaluate(
                "[...document.querySelectorAll('#pareto .trace')].flatMap(group =>"
                "[...group.querySelectorAll('.point')].filter(point => point.style.opacity < 0.5"
                " && point.style.opacity !== '')"
                ".map(point => group.__data__[0].trace.customdata[point.__data__.i])).sort()"
            )

        highlight(["middle", "high"])
        assert faded() == ["bound", "bound", "low"]
        page.evaluate(ZOOM, [0, 4])
        assert faded() == ["bound", "bound", "low"]
        highlight(None)
        assert faded() == []

    def test_a_click_leads_to_the_candidate(self, visit, served):
        page = opened(visit, served, "pareto", attributes="data-select")
        served.files["/candidates/high"] = b"{}"
        box, (x, y) = inside(page, "pareto")
        page.mouse.click(
            box["x"] + (3.0 - x[0]) / (x[1] - x[0]) * box["width"],
            box["y"] + (1 - (-2 - y[0]) / (y[1] - y[0])) * box["height"],
        )
        page.wait_for_url("**/candidates/high")


def host():
    """Cubic KTaCl6 with half of its potassium."""
    cell = load_prototype("k2ptcl6").own_structure()
    sites = [site for site in cell if site.properties["role"] != "vacant"]
    k = [i for i, site in enumerate(sites) if site.specie.symbol == "K"]
    kept = [site for i, site in enumerate(sites) if i not in k[4:]]
    structure = Structure(
        cell.lattice, [s.specie.symbol for s in kept], [s.frac_coords for s in kept]
    )
    vacancies = [VacantSite(tuple(sites[i].frac_coords.tolist()), ("K",)) for i in k[4:]]
    return structure, VacantSites(tuple(vacancies), "Vacancies are a guess.")


class TestStructure:
    BODY = '<section id="scene" data-scene="/scene.json"></section>'

    @pytest.fixture
    def served(self, served):
        served.files["/scene.json"] = orjson.dumps(structure_scene(*host()))
        return served

    def opened(self, visit, served):
        visit.page.goto(served.page(self.BODY))
        visit.page.locator("#scene[data-drawn]").wait_for(timeout=60_000)
        return visit.page

    @staticmethod
    def picture(page):
        page.wait_for_timeout(300)
        return page.locator("#scene canvas").first.evaluate("canvas => canvas.toDataURL()")

    def test_it_is_drawn_named_and_clean(self, browser, served, tmp_path):
        for scheme in ("light", "dark"):
            context = browser.new_context(color_scheme=scheme)
            visit = Visit.of(context)
            page = self.opened(visit, served)
            view = page.locator("#scene .structure-view")
            assert "32 atoms" in view.get_attribute("aria-label")
            legend = " ".join(page.locator("#scene .legend").inner_text().split())
            assert legend == "Ta (4) K (4) Cl (24) vacant site"
            assert page.locator("#scene .structure-note").text_content() == "Vacancies are a guess."
            visit.check(tmp_path / f"{scheme}.png")
            context.close()

    def test_every_part_can_be_left_out(self, visit, served):
        page = self.opened(visit, served)
        seen = {self.picture(page)}
        for part in ("Polyhedra", "Bonds", "Vacancies", "Unit cell"):
            page.get_by_role("checkbox", name=part).uncheck()
            picture = self.picture(page)
            assert picture not in seen, part
            seen.add(picture)

    def test_keys_turn_and_zoom_it(self, visit, served):
        page = self.opened(visit, served)
        first = self.picture(page)
        page.locator("#scene .structure-view").focus()
        seen = {first}
        for key in ("ArrowLeft", "ArrowUp", "+"):
            page.keyboard.press(key)
            picture = self.picture(page)
            assert picture not in seen, key
            seen.add(picture)
        page.keyboard.press("0")
        assert self.picture(page) == first

    def test_the_wheel_scrolls_the_page_until_it_is_chosen(self, visit, served):
        page = self.opened(visit, served)
        first = self.picture(page)
        page.locator("#scene .structure-view").hover()
        page.mouse.wheel(0, 200)
        assert self.picture(page) == first
        page.locator("#scene .structure-view").click(position={"x": 5, "y": 5})
        page.mouse.wheel(0, 200)
        assert self.picture(page) != first

    def test_nothing_spins_for_who_wants_no_motion(self, browser, served):
        context = browser.new_context(reduced_motion="reduce")
        page = self.opened(Visit.of(context), served)
        assert page.get_by_role("checkbox", name="Spin").count() == 0
        context.close()

    def test_its_background_follows_the_page(self, visit, served):
        page = self.opened(visit, served)
        first = self.picture(page)
        page.emulate_media(color_scheme="dark")
        assert self.picture(page) != first

    def test_without_webgl_it_says_where_the_atoms_are(self, visit, served):
        visit.page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
        visit.page.goto(served.page(self.BODY))
        message = visit.page.locator("#scene .structure-message")
        assert message.text_content() == "3D needs WebGL; the atoms are in the table below."

    def test_what_cannot_be_had_is_told(self, visit, served):
        served.files["/scene.json"] = 404
        visit.page.goto(served.page(self.BODY))
        message = visit.page.locator("#scene .structure-message")
        assert message.text_content() == "The structure cannot be shown: the server answers 404."
