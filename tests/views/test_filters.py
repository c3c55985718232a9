"""How figures, sizes, times and names are written."""

from __future__ import annotations

import pytest
from flask import Flask, render_template_string

from dashboard.views import filters

NOW = 1_767_322_800.0  # 2026-01-02 03:00:00 UTC


def plain(text: str) -> str:
    return text.replace(filters.THIN, " ")


@pytest.mark.parametrize(
    ("n", "digits", "written"),
    [(0, 0, "0"), (999, 0, "999"), (10212, 0, "10 212"), (-1234567, 0, "-1 234 567"), (0.9312, 2, "0.93")],
)
def test_number_parts_thousands_by_thin_spaces(n: float, digits: int, written: str) -> None:
    assert plain(filters.number(n, digits)) == written


def test_a_figure_never_breaks_across_lines() -> None:
    written = filters.number(1_234_567) + filters.short(1204) + filters.byte_size(1229) + filters.clock(300_000.0)
    assert " " not in written.replace("d ", "")


@pytest.mark.parametrize(
    ("n", "written"),
    [
        (0, "0"),
        (0.4, "0.4"),
        (7, "7"),
        (999, "999"),
        (999.7, "1 k"),
        (1000, "1 k"),
        (1204, "1.2 k"),
        (10_212, "10.2 k"),
        (99_960, "100 k"),
        (999_960, "1 M"),
        (10_100_000, "10.1 M"),
        (-1204, "-1.2 k"),
        (5e15, "5 000 T"),
    ],
)
def test_short_has_a_prefix_and_no_idle_zero(n: float, written: str) -> None:
    assert plain(filters.short(n)) == written


@pytest.mark.parametrize(
    ("n", "written"),
    [(0, "0 B"), (312, "312 B"), (1024, "1 kB"), (1229, "1.2 kB"), (67_108_864, "64 MB"), (2_254_857_830, "2.1 GB")],
)
def test_bytes_counts_in_the_units_of_the_servers_configuration(n: float, written: str) -> None:
    assert plain(filters.byte_size(n)) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "0 s"),
        (0.12, "120 ms"),
        (2.14, "2.1 s"),
        (40, "40 s"),
        (60, "1 min"),
        (271, "4 min 31 s"),
        (3600, "1 h"),
        (3610, "1 h"),
        (7500, "2 h 5 min"),
        (273_600, "3 d 4 h"),
        (-40, "-40 s"),
    ],
)
def test_duration_names_its_two_largest_units(seconds: float, written: str) -> None:
    assert plain(filters.duration(seconds)) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0, "0:00"), (0.2, "0:01"), (12, "0:12"), (271, "4:31"), (3723, "1:02:03"), (273_600, "3 d 4 h"), (-5, "0:00")],
)
def test_clock_counts_down_as_a_clock(seconds: float, written: str) -> None:
    assert plain(filters.clock(seconds)) == written


def test_moments_are_written_in_utc() -> None:
    assert filters.iso(NOW) == "2026-01-02T03:00:00Z"
    assert filters.utc(NOW) == "2026-01-02 03:00:00 UTC"
    assert filters.utc(NOW, "clock") == "03:00:00 UTC"


@pytest.mark.parametrize("text", ["", "a", "api:user:42", "x" * 25, "x" * 41, "x" * 400])
def test_middle_of_a_key_that_fits_loses_nothing(text: str) -> None:
    head, left_out, tail = filters.middle(text)
    assert (head + tail, left_out) == (text, 0)


def test_middle_of_a_huge_key_says_how_much_it_leaves_out() -> None:
    text = "".join(chr(97 + place % 26) for place in range(10_240))
    head, left_out, tail = filters.middle(text)
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(head) + left_out + len(tail) == len(text)
    assert len(head) + len(tail) < 400


def test_hyphenated_makes_attributes_of_keyword_arguments() -> None:
    written = filters.hyphenated({"data_search": True, "autofocus": False, "maxlength": 5})
    assert written == {"data-search": "", "maxlength": 5}


def test_register_gives_templates_every_filter_and_they_escape() -> None:
    app = Flask(__name__)
    filters.register(app)
    with app.app_context():
        assert render_template_string("{{ 10212|number }}") == f"10{filters.THIN}212"
        head = render_template_string("{{ name|middle|first }}", name="<img src=x onerror=alert(1)>" + "." * 20)
    assert head == "&lt;img src=x onerror=alert(1)&gt;"
    assert set(filters.FILTERS) <= set(app.jinja_env.filters)


def test_a_short_key_is_not_split_so_that_it_reads_as_one_word() -> None:
    assert filters.middle("anna") == ("anna", 0, "")
