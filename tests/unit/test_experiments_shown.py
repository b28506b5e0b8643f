"""A comparison as it is read: summary, forest plot, pictures; with names and numbers of all kinds."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

import pytest
from IPython.core.formatters import DisplayFormatter
from PIL import Image

from copilot_nb.errors import InputError
from copilot_nb.experiments.agreement import Agreement, agreement
from copilot_nb.experiments.forest import forest, interval, number
from copilot_nb.experiments.intervals import Interval
from copilot_nb.experiments.plots import PlotData, plot
from copilot_nb.experiments.power import power
from copilot_nb.experiments.scores import Preference, ScoreRow
from copilot_nb.experiments.statistics import Difference, differences, summarize
from copilot_nb.experiments.summary import MAX_PAIRS, Summary, summary

KINDS = ("scores", "differences", "cost", "latency", "agreement")
HOSTILE = "<img src=x onerror=alert(1)> $x$ \x1b[2J 模型 " + "long " * 30


def rows(names: Sequence[str] = ("a", "b", "c"), prompts: int = 20, failed: Sequence[int] = ()) -> list[ScoreRow]:
    return [
        ScoreRow(
            f"p{p}",
            name,
            0,
            None if k == 0 and p in failed else float((p * (k + 2)) % 7 > 2),
            failed=k == 0 and p in failed,
        )
        for p in range(prompts)
        for k, name in enumerate(names)
    ]


def votes(names: Sequence[str] = ("a", "b", "c"), prompts: int = 12) -> list[Preference]:
    pairs = [(one, other) for one in names for other in names if one < other]
    return [
        Preference(f"p{p}", *pair, ((p * 3 + k) % 5) / 4 // 0.5 / 2)
        for p in range(prompts)
        for k, pair in enumerate(pairs)
    ]


# --- numbers and forest plots -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Interval(0.23611, 0.0851, 0.387), "+0.24 [+0.09, +0.39]"),
        (Interval(-7e-18, -0.227, 0.227), "0.00 [−0.23, +0.23]"),
        (Interval(28.8, -24.0, 81.6), "+29 [−24, +82]"),
        (Interval(1234567.0, 1.0, 2e6), "+1.23e+06 [+1, +2e+06]"),
        (Interval(0.5, note="one prompt"), "+0.5 (one prompt)"),
        (Interval(None, note="no prompt"), "no prompt"),
        (Interval(2e-5, 1e-5, 3e-5), "+0.000020 [+0.000010, +0.000030]"),
    ],
)
def test_an_interval_shows_the_digits_that_mean_something(value: Interval, shown: str) -> None:
    assert interval(value, signed=True) == shown


def test_a_missing_number_is_a_dash() -> None:
    assert (number(None), number(0.0), number(12345.6)) == ("–", "0", "12,346")


def test_a_forest_plot_marks_estimates_and_the_reference_in_their_columns() -> None:
    drawn = forest([("a − b", Interval(0.2, 0.1, 0.3)), ("a − c", Interval(-0.1, -0.1, 0.3)), ("none", Interval(None))])
    axis, first, second = drawn.split("\n")
    assert axis.split() == ["−0.10", "0", "+0.30"]
    assert first.index("├") < first.index("●") < first.index("┤") == second.index("┤")
    assert first.index("┊") < first.index("├")
    assert second.index("●") == 7
    assert second.index("┼") == first.index("┊") == axis.index(" 0 ") + 1
    assert forest([("none", Interval(None))]) == ""
    assert "●" in forest([("one", Interval(0.0))])


# --- the summary ------------------------------------------------------------------------------------------------------


def test_the_summary_holds_scores_differences_and_preferences() -> None:
    shown = summary(rows(), {"": votes()}, ["The judge is one of them."])
    text, html = str(shown), shown._repr_html_()
    for part in ("Scores", "Differences, paired by prompt", "Ranking by preference", "Preferences by prompt", "●"):
        assert part in text
        assert part in html
    assert text.endswith("· The judge is one of them.")


def test_an_effect_comes_first_and_its_p_last() -> None:
    heads = next(line for line in str(summary(rows())).split("\n") if line.startswith("Difference "))
    assert heads.split("  ")[0] == "Difference"
    assert heads.index("Effect [95% interval]") < heads.index("Detectable") < heads.index("Verdict") < heads.rindex("p")
    assert heads.endswith("p")


def test_failures_are_shown_both_ways_only_where_there_are_any() -> None:
    assert "With failures as 0" not in str(summary(rows()))
    text = str(summary(rows(failed=[1, 2])))
    assert text.count("With failures as 0") == 2
    assert "2 of 20" in text


def test_a_forest_plot_keeps_its_columns_in_html_and_shows_p_only_of_a_test() -> None:
    shown = summary(rows())
    style = re.search(r'<pre aria-hidden="true" style="(.*?)">', shown._repr_html_())
    assert style
    assert {"font-family:var(--jp-code-font-family,monospace)", "white-space:pre"} <= {*style[1].split(";")}
    assert "p is of" in str(shown)
    nothing = [ScoreRow(f"p{p}", name, 0, None) for p in range(3) for name in "ab"]
    assert "Each interval covers 95% by itself.\n" in str(summary(nothing))


def test_few_prompts_and_missing_scores_are_said() -> None:
    text = str(summary(rows(prompts=5, failed=[1])))
    assert "Fewer than 10 prompts are too few" in text
    assert "Up to 1 prompt of a pair is left out" in text
    assert "too few prompts to tell" in text


def test_the_power_of_each_pair_is_a_table() -> None:
    text = str(power(rows(), effect=0.1))
    assert "Prompts for 0.1" in text
    assert text.count("could have shown") == 4
    assert "Prompts for" not in str(power(rows(prompts=1)))


def test_a_note_on_power_is_not_cut_off_in_a_terminal() -> None:
    assert str(power(rows(), effect=0.1, repeats=9)).count("is unknown: this run has one\n") == 2


@pytest.mark.parametrize("effect", ["a", 0, float("nan"), float("inf")])
def test_an_effect_that_is_no_number_is_one_line(effect: float) -> None:
    with pytest.raises(InputError, match=f"effect must be a number other than 0, not {effect!r}"):
        power(rows(), effect=effect)


def test_differences_show_themselves_and_are_a_tuple() -> None:
    found = differences(rows())
    bundle, _ = DisplayFormatter().format(found)
    assert bundle["text/html"].startswith("<table>")
    assert bundle["text/plain"] == str(found)
    assert "Effect [95% interval]" in str(found)
    assert isinstance(found[0], Difference)
    assert str(differences(rows(["a"]))).startswith("Differences")


def test_many_pairs_are_cut_short() -> None:
    shown = summary(rows([f"v{k}" for k in range(10)]))
    assert f"The first {MAX_PAIRS} of 45 pairs" in str(shown)
    assert shown._repr_html_().count(" − v") < 2 * 45
    assert len(shown.differences) == 45


def test_the_level_is_shown() -> None:
    assert "Mean score [99.9% interval]" in str(summary(rows(), level=0.999))


def test_one_variant_and_two_by_preference_and_nothing_at_all() -> None:
    alone = str(summary(rows(["a"], prompts=5)))
    assert "Differences" not in alone
    assert "tell variants apart" not in alone
    two = str(summary((), {"": votes(["a", "b"])}))
    assert "Preferences by prompt" in two
    assert "Ranking" not in two
    assert str(Summary()) == ""


def test_names_are_text_in_html_and_command_no_terminal() -> None:
    shown = summary(rows([HOSTILE, "b", "c"]), {HOSTILE: votes([HOSTILE, "b", "c"])}, [HOSTILE])
    html, text = shown._repr_html_(), str(shown)
    assert "<img" not in html
    assert "<script" not in html
    assert "\x1b" not in text


# --- pictures ---------------------------------------------------------------------------------------------------------


def data(names: Sequence[str] = ("a", "b")) -> PlotData:
    table = rows(names, failed=[1])
    numbers = {name: [0.5, None, 1.5, 2.0] for name in names}
    rated = Agreement(tuple(names[:2]), ((1.0, None), (None, 1.0)), ((2, 0), (0, 2)))
    return PlotData(summarize(table), differences(table), numbers, numbers, agreement=rated)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("names", [("a", "b"), (HOSTILE, "$", "$\\frac$")], ids=["plain", "hostile"])
def test_a_picture_is_saved_as_a_png_and_its_numbers_as_text(kind: str, names: Sequence[str]) -> None:
    bundle, _ = DisplayFormatter().format(plot(kind, data(names)))
    assert set(bundle) == {"image/png", "text/plain"}
    assert "http" not in bundle["text/plain"]
    assert "\x1b" not in bundle["text/plain"]
    image = Image.open(io.BytesIO(bundle["image/png"]))
    assert image.width == 1400
    assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)  # reads on a dark page, too
    assert len(image.convert("L").getcolors() or []) > 20, "something is drawn"


def test_the_text_of_a_picture_has_its_numbers() -> None:
    assert "a (1 of 4 unknown): median 1.5, 0.5 to 2 seconds" in plot("latency", data()).description
    assert "a and b: nothing in common" in plot("agreement", data()).description
    estimate = differences(rows(("a", "b"), failed=[1]))[0].effect
    assert f"a − b: {interval(estimate, signed=True)}" in plot("differences", data()).description


def test_a_picture_says_of_what_level_its_intervals_are_and_on_how_many_prompts() -> None:
    table = rows(("a", "b"), failed=[1], prompts=12)
    drawn = PlotData(summarize(table, 0.9), differences(table, 0.9))
    for kind, label in (
        ("scores", "mean score with its 90% interval, 11 to 12 prompts; ×: failures as 0"),
        ("differences", "difference of the mean scores with its 90% interval, 11 prompts"),
    ):
        picture = plot(kind, drawn)
        assert picture.axes[0].get_xlabel() == label
        assert picture.description.splitlines()[0].endswith(f": {label}")


@pytest.mark.parametrize("kind", [*KINDS, "score", "nonsense"])
def test_what_cannot_be_drawn_is_one_line(kind: str) -> None:
    with pytest.raises(InputError) as error:
        plot(kind, PlotData(cost={"a": [None]}, latency_s={}))
    assert "\n" not in str(error.value)


def test_a_typo_is_corrected() -> None:
    with pytest.raises(InputError, match="did you mean scores"):
        plot("score", data())
    with pytest.raises(InputError, match="there is no plot None → it is one of scores, "):
        plot(None, data())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="there is no plot "):
        plot(["cost"], data())  # type: ignore[arg-type]


def test_an_axis_of_costs_begins_at_0() -> None:
    for cost in (0.0, 2.0):
        assert plot("cost", PlotData(cost={"a": [cost]})).axes[0].get_xlim()[0] == 0


# --- agreement --------------------------------------------------------------------------------------------------------


def test_raters_agree_on_the_pairs_that_both_rated() -> None:
    ann = [Preference("p", "a", "b", 1), Preference("q", "a", "b", 0), Preference("r", "a", "b", 0.5)]
    bob = [Preference("p", "b", "a", 0), Preference("q", "a", "b", 1), Preference("s", "a", "b", 1)]
    found = agreement({"ann": ann, "bob": bob, "eve": []})
    assert found.raters == ("ann", "bob", "eve")
    assert found.shares == ((1.0, 0.5, None), (0.5, 1.0, None), (None, None, None))
    assert found.pairs[0] == (3, 2, 0)
    shown = str(summary((), {"ann": ann}, agreement=found))
    assert "ann : bob  50%    2" in shown
