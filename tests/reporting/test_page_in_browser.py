"""The page in headless Chromium: no error, formulas with boxes of the right form, the stepper, no barriers.

It runs where `chromium` and `chromedriver` are installed, as `.ci/run` does it; elsewhere it is skipped.
"""

import shutil
import time

import numpy as np
import pytest
from axe_core_python.selenium import Axe
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import backproof as bp
from backproof.derivations import DerivationReport, DerivationVerdict, Mark
from backproof.derivations.report import Example, Line
from backproof.reporting.formulas import SHIPPED_FORMULAS
from backproof.verification import Counterexample, Report, Verdict
from backproof.verification.blame.blame import Blame
from backproof.verification.report import Sides

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="no chromium and chromedriver on the PATH; Debian: chromium-driver"
)

FLAGS = (
    "headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
    "disable-component-update", "disable-sync",
)  # fmt: skip
SCRIPT = "<script>document.title = 'pwned'</script>"
TESTNET = bp.mlp([3, 4, 2], bp.rules.relu).name
FORMULAS = {
    "matrix": (
        r"\begin{pmatrix} 1 & 2 & 3 & 4 \\ 5 & 6 & 7 & 8 \end{pmatrix}",
        r"\frac{\partial J}{\partial z^l} = (W^{l+1})^{\top} \delta^{l+1} \odot \sigma'(z^l)",
    ),
    **SHIPPED_FORMULAS,
}
WIDE = np.arange(12.0).reshape(2, 6) / 7
EXAMPLE = Counterexample(
    (WIDE, SCRIPT), np.ones((2, 6)), "[0]", (1, 4), 2.5, 1.5, 1e-16, 1e15, 1.5,
    f"f(args, cotangent, '{SCRIPT}')",
    sides=Sides(WIDE, WIDE + np.eye(2, 6), np.eye(2, 6, dtype=bool)),
)  # fmt: skip
BLAME = Blame("gone.py", 7, f"return x * 2  # {SCRIPT}" + " + x" * 60, "it was run", (7,), "return x")
LINES = (
    Line(0, "value", r"\delta^L", "definition", 3, Mark.STARTS),
    Line(1, "value", r"\text{" + SCRIPT + r"} \odot b", f"reason {SCRIPT}", 4, Mark.FOLLOWS, worst=0.5),
    Line(2, "value", r"\sum_{i=1}^{n} \frac{1}{n}", "a slip", 5, Mark.FAILS),
    Line(3, "value", r"a", "after it", 6, Mark.WOULD_BE_RIGHT),
)
FAILS = DerivationReport(
    "a_slip", r"\delta^L", "a.py", 1, f"A docstring {SCRIPT}.", DerivationVerdict.FAILS, lines=LINES, wrong=2,
    cause="sign", explanation="line 2: it has the wrong sign",
    example=Example(("z",), (np.ones(2),), ("line 1", "line 2"), (np.ones(2), -np.ones(2)), "[0]", 3e14,
                    {"": np.ones(2, bool)}),
)  # fmt: skip
HOLDS = DerivationReport(
    "it_holds", r"\delta^L", "a.py", 20, "", DerivationVerdict.HOLDS, lines=LINES[:2], uses=("a_slip",)
)
REPORTS = (
    Report("matrix", Verdict.AGREES, examples=20, worst=1.5),
    Report(TESTNET, Verdict.SUBGRADIENT, None, "at a kink the result is 0 by hand", examples=20, worst=0.0),
    Report(f"f{SCRIPT}", Verdict.WRONG, "sign", SCRIPT, EXAMPLE, 20, worst=0.5, notes=(SCRIPT,), blame=BLAME),
    Report("unsure", Verdict.INCONCLUSIVE, None, "no verdict is possible", examples=0),
    FAILS,
    HOLDS,
)

# Everything is there at once: nothing is folded away, or left until one scrolls to it.
UNFOLDED = """
    document.querySelectorAll("details").forEach((one) => { one.open = true; });
    document.querySelectorAll(".bp-card").forEach((one) => { one.style.contentVisibility = "visible"; });
"""
# The letters that the font of the page does not set: with and without it they are as wide.
OTHERS = """
    const pen = document.createElement("canvas").getContext("2d");
    const width = (family, letter) => { pen.font = `40px ${family}`; return pen.measureText(letter).width; };
    const ours = (letter, other) => width(`"Backproof Math", ${other}`, letter) !== width(other, letter);
    return [...arguments[0]].filter((one) => !ours(one, "serif") && !ours(one, "monospace"));
"""
# The places of a base and its superscript: left, and the middle between top and bottom.
SUPERSCRIPT = """
    const [at, base, script] = arguments;
    const all = [...document.querySelectorAll(`${at} msup`)];
    const said = (one) => [...one.children].map((it) => it.textContent).join(" ");
    const found = all.find((one) => said(one) === `${base} ${script}`);
    return [...found.children].map((it) => {
        const box = it.getBoundingClientRect();
        return [box.x, box.y + box.height / 2];
    });
"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    bp.write_html(REPORTS, path, formulas=FORMULAS, command=f"backproof verify {SCRIPT}")
    return path.as_uri()


@pytest.fixture
def page(chromium, address):
    """Open the page anew on a desktop, in the light."""
    shown(chromium, 1280, "light")
    chromium.get(address)
    chromium.execute_async_script("document.fonts.ready.then(arguments[0])")
    return chromium


def shown(driver, width, scheme):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})


def boxes(driver, selector):
    """Return (left, top, width, height) of every element, also of those that are folded away."""
    return driver.execute_script(
        """
        document.querySelectorAll("details").forEach((one) => { one.open = true; });
        const steps = [...document.querySelectorAll(".bp-step")];
        const hidden = steps.map((one) => one.hidden);
        steps.forEach((one) => { one.hidden = false; });
        const found = [...document.querySelectorAll(arguments[0])].map((one) => {
            const box = one.getBoundingClientRect();
            return [box.x, box.y, box.width, box.height];
        });
        steps.forEach((one, at) => { one.hidden = hidden[at]; });
        return found;""",
        selector,
    )


def test_nothing_is_said_on_the_console_and_nothing_is_loaded(page):
    assert page.get_log("browser") == []
    loaded = page.execute_script("return performance.getEntriesByType('resource').map((one) => one.name)")
    assert [one for one in loaded if not one.startswith("data:")] == []


def test_an_error_of_the_page_would_be_seen(page):
    page.execute_script("setTimeout(() => { throw new Error('planted'); })")
    seen = [one["message"] for one in page.get_log("browser")]
    assert len(seen) == 1
    assert "planted" in seen[0]


def test_every_formula_has_a_box_and_is_set_in_the_font_of_the_page(page):
    found = boxes(page, "math")
    assert len(found) > 60
    assert all(width > 1 and height > 4 for _, _, width, height in found)
    assert page.execute_script("return [...document.fonts].map((one) => one.status)") == ["loaded"]
    assert page.execute_script(OTHERS, "∂⊙δσ⊤∑′ℝ") == []
    assert page.execute_script(OTHERS, "Ж") == ["Ж"]


def test_a_matrix_of_two_rows_has_four_columns_between_tall_parentheses(page):
    cells = boxes(page, "#bp-matrix dl > div:nth-child(1) mtd")
    rows = sorted({round(y) for _, y, _, _ in cells})
    assert (len(cells), len(rows)) == (8, 2)
    left = [x for x, _, _, _ in cells]
    assert left[:4] == sorted(left[:4])
    assert [round(x) for x in left[:4]] == [round(x) for x in left[4:]]
    opening, closing = boxes(page, "#bp-matrix dl > div:nth-child(1) mrow > mo")
    ((_, _, _, height),) = boxes(page, "#bp-matrix dl > div:nth-child(1) mtable")
    assert opening[3] >= 0.9 * height
    assert opening[0] < min(left) < max(left) < closing[0]


def test_a_fraction_stands_above_its_denominator_and_a_layer_and_a_transpose_above_the_line(page):
    at = "#bp-matrix dl > div:nth-child(2)"
    ((_, over, _, _), (_, under, _, _)) = boxes(page, f"{at} math > mfrac > mrow")
    assert over < under
    for base, script in (("δ", "l+1"), (")", "⊤"), ("σ", "′")):
        places = page.execute_script(SUPERSCRIPT, at, base, script)
        (base_x, base_middle), (script_x, script_middle) = places
        assert base_x < script_x
        assert script_middle < base_middle, (base, script)


def step(page):
    (heading,) = [one for one in page.find_elements(By.CSS_SELECTOR, ".bp-step h5") if one.is_displayed()]
    return page.find_element(By.CLASS_NAME, "bp-sweep").get_attribute("data-step"), heading.text


def button(page, label):
    return page.find_element(By.XPATH, f"//button[normalize-space()='{label}']")


def test_the_sweep_is_stepped_through_by_mouse(page):
    assert step(page)[0] == "1"
    assert not button(page, "← Back").is_enabled()
    for _ in range(4):
        button(page, "Next →").click()
    assert step(page) == ("5", "backward The error of the output")
    assert "Step 5 of 11" in page.find_element(By.CSS_SELECTOR, ".bp-sweep [role=status]").text
    button(page, "← Back").click()
    assert step(page)[0] == "4"
    button(page, "Last").click()
    assert step(page)[0] == "11"
    assert not button(page, "Next →").is_enabled()
    button(page, "All steps").click()
    assert all(one.is_displayed() for one in page.find_elements(By.CSS_SELECTOR, ".bp-step"))
    button(page, "All steps").click()
    assert step(page)[0] == "11"


def test_the_sweep_is_stepped_through_by_keyboard(page):
    page.execute_script("document.querySelector('.bp-controls button:not(:disabled)').focus()")

    def press(key):
        ActionChains(page).send_keys(key).perform()
        return step(page)[0]

    assert [press(Keys.ARROW_RIGHT), press(Keys.ARROW_RIGHT), press(Keys.ARROW_LEFT)] == ["2", "3", "2"]
    assert [press(Keys.END), press(Keys.ARROW_LEFT), press(Keys.HOME)] == ["11", "10", "1"]
    assert [press(Keys.ARROW_RIGHT), press(Keys.ENTER)] == ["2", "3"]  # the focus is on a button, still
    outline = page.execute_script("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_without_its_script_the_page_shows_every_step(page):
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.refresh()
        steps = page.find_elements(By.CSS_SELECTOR, ".bp-step h5")
        assert len(steps) == 11
        assert all(one.size["height"] > 0 for one in steps)
    finally:
        page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_what_a_user_wrote_stays_text(page):
    assert page.title == "backproof: 3 of 6 are good"
    assert page.execute_script("return document.scripts.length") == 1
    page.execute_script(UNFOLDED)
    places = {
        "its name": "article h3",
        "an explanation": ".bp-said",
        "a note": ".bp-notes li",
        "a line of source": ".bp-blamed code",
        "the replay of a counterexample": ".bp-code code",
        "a counterexample": ".bp-matrix td",
        "a docstring": ".bp-prose",
        "a formula": "mtext",
        "a reason": ".bp-lines td",
        "the command": ".bp-facts td",
    }
    for what, selector in places.items():
        texts = page.execute_script(
            "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)", selector
        )
        plain = [text.replace("\u00a0", " ").replace("’", "'") for text in texts]  # as formulas write them
        assert any(SCRIPT in text for text in plain), what


def barriers(page):
    """Return the serious and critical findings of axe-core."""
    found = Axe().run(page)["violations"]
    return [one for one in found if one["impact"] in ("serious", "critical")]


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
def test_there_is_no_barrier_and_the_page_is_no_wider_than_the_screen(page, address, width, scheme):
    shown(page, width, scheme)
    page.get(address)
    page.execute_script(UNFOLDED)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    until(lambda: page.execute_script("return document.querySelectorAll('.bp-scroll[tabindex]').length"))
    grave = barriers(page)
    assert [(one["id"], one["nodes"][0]["target"], one["nodes"][0]["failureSummary"]) for one in grave] == []


def test_a_barrier_that_is_planted_is_found(page):
    page.execute_script(UNFOLDED)
    planted = '<p style="color:#999;background:#888">pale</p><img><button></button>'
    page.execute_script("document.querySelector('footer').innerHTML += arguments[0]", planted)
    assert {"color-contrast", "image-alt", "button-name"} == {one["id"] for one in barriers(page)}


def test_the_replay_is_copied_whole(page):
    page.execute_script(UNFOLDED)
    code = page.find_element(By.CSS_SELECTOR, ".bp-code")
    page.execute_script("arguments[0].scrollIntoView({ block: 'center' })", code)
    code.find_element(By.TAG_NAME, "button").click()
    until(lambda: code.find_element(By.TAG_NAME, "button").text != "Copy")
    assert code.find_element(By.TAG_NAME, "button").text in ("Copied", "Marked: copy it")
    assert EXAMPLE.repro in code.find_element(By.TAG_NAME, "code").get_property("textContent")


def test_a_link_opens_the_derivation_it_leads_to(page, address):
    card = page.find_element(By.CSS_SELECTOR, "#bp-a-py-it_holds > details")
    assert card.get_property("open") is False
    page.get(f"{address}#bp-a-py-it_holds")
    until(lambda: card.get_property("open"))


def test_what_is_printed_is_unfolded(page):
    printed = page.execute_cdp_cmd("Page.printToPDF", {})
    assert printed["data"]
    folded = "return [...document.querySelectorAll('main details')].filter((one) => !one.open).length"
    assert page.execute_script(folded) == 0


def until(holds):
    """Wait until something holds; fail if it does not within a minute."""
    for _ in range(600):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come to hold")
