"""The Expiry screen: what it says of a kept analysis, and where it leads from there."""

from __future__ import annotations

import re
import time
from contextlib import closing
from dataclasses import replace
from html import unescape

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from dashboard.cache.analysis import slots
from dashboard.cache.analysis.report import OTHER, Cliff, NamespaceRow, RuleRow
from dashboard.cache.estimate import exactly
from dashboard.cache.selecting.selection import Selection
from dashboard.store import jobs
from dashboard.store.engine import Store
from dashboard.store.schema import JobRow
from tests.servers import Server
from tests.snapshots import CLIFF_SECONDS, KINDS, keep, snapshot
from tests.views.analyses.test_analyses import words
from tests.views.conftest import by_htmx

HERE = "/caches/main/expiry"


def shown(client: FlaskClient, path: str = HERE) -> str:
    """The page's text, with ordinary spaces."""
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return unescape(answer.text).replace("\u202f", " ")


def section(page: str, name: str) -> str:
    found = re.search(rf'<section[^>]* id="{name}".*?</section>', page, re.DOTALL)
    assert found, page
    return found[0]


def answer(page: str) -> str:
    found = re.search(r'id="answer"[^>]*>(.*?)</p>', page, re.DOTALL)
    assert found
    return words(found[1])


class TestAnswer:
    def test_it_says_what_never_expires_and_names_the_largest_cliff(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot(started=time.time()))
        said = answer(shown(viewer))
        assert re.fullmatch(
            r"6\.0 % of the memory never expires; 12 400 keys of api:search:\* expire within 2 s at [\d:]+ UTC\.", said
        )

    def test_it_counts_keys_where_the_server_tells_no_memory(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot(started=time.time(), memory=False, cliff=False))
        assert answer(shown(viewer)) == "4.1 % of the keys never expires; no cliff in what is left."

    def test_it_says_about_while_it_is_an_estimate(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot(0.05, started=time.time(), ended=False), state="running")
        assert "about 12 400 keys" in answer(shown(viewer))

    def test_without_an_analysis_it_knows_nothing(self, viewer: FlaskClient, valkey: Server) -> None:
        with closing(valkey.client()) as client:
            client.set("a", "1")
        assert answer(shown(viewer)) == "When these keys expire is not known yet."

    def test_a_cache_in_which_all_keys_have_a_ttl(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot(kinds=KINDS[:3], cliff=False))
        assert answer(shown(viewer)).startswith("Every key has a TTL;")


class TestEmpty:
    def test_an_empty_cache_needs_no_analysis(self, viewer: FlaskClient) -> None:
        page = shown(viewer)
        assert answer(page) == "This cache is empty: nothing expires."
        assert "This cache is empty" in page.partition('class="empty')[2]

    def test_never_analysed(self, viewer: FlaskClient, valkey: Server) -> None:
        with closing(valkey.client()) as client:
            client.set("a", "1")
        assert "Nothing is known of these keys' expiry yet" in shown(viewer)

    def test_nothing_exists(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot(kinds=(), cliff=False, rules=False))
        page = shown(viewer)
        assert "This cache is empty" in page
        assert "Forecast" not in page

    def test_nothing_matches(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot(kinds=(), cliff=False, rules=False), Selection(b"nothing:*"))
        page = shown(viewer, f"{HERE}?pattern=nothing:*")
        assert "No key matches" in page
        assert 'href="/caches/main/expiry">Expiry of all keys' in page

    def test_an_analysis_without_its_first_snapshot(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, None, state="running")
        page = shown(viewer)
        assert answer(page) == "The analysis has begun: its first figures are there within a second."
        assert "Nothing is known" not in page


class TestCliffs:
    def test_one_says_how_many_when_how_steep_and_what_jitter_would_make_of_it(
        self, viewer: FlaskClient, store: Store
    ) -> None:
        keep(store, snapshot(started=time.time()))
        said = words(section(shown(viewer), "cliffs"))
        assert re.search(r"12 400 keys of api:search:\* expire within 2 s at [\d:]+ UTC, 21:0\d from now", said)
        assert "6 667/s, where 467/s is usual. ± 5 min of jitter would make it 488/s." in said

    def test_it_leads_to_its_keys_and_to_spreading_them(self, operator: FlaskClient, store: Store) -> None:
        started = float(round(time.time()))
        keep(store, snapshot(started=started))
        here = section(shown(operator), "cliffs")
        instant = f"@{started + CLIFF_SECONDS:.3f}-{started + CLIFF_SECONDS + 2:.3f}"
        assert f'href="/caches/main/keys?pattern=api:search:*&ttl={instant}"' in here
        spread = re.search(r'href="([^"]*)">Spread these', here)
        assert spread
        assert f"pattern=api:search:*&ttl={instant}&jitter=300" in spread[1]
        assert operator.get(spread[1]).status_code == 200

    def test_a_viewer_sees_it_and_spreads_nothing(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot(started=time.time()))
        assert "Spread these" not in shown(viewer)

    def test_an_estimate_has_its_interval(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot(0.05, started=time.time(), ended=False), state="running")
        said = words(section(shown(viewer), "cliffs"))
        assert re.search(r"About 12 400 keys of .* \(1\d\.\d k to 1\d\.\d k\),", said)

    def test_one_that_is_over_is_not_there_any_more(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot(started=time.time() - CLIFF_SECONDS - 3))
        assert "No cliff any more" in words(section(shown(viewer), "cliffs"))

    def test_none_is_said_too_and_how_far_it_has_looked(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot(0.5, started=time.time(), cliff=False, ended=False), state="running")
        assert "as far as this has got" in words(section(shown(viewer), "cliffs"))

    def test_one_of_the_keyspace_is_told_only_where_no_namespace_accounts_for_it(
        self, viewer: FlaskClient, store: Store
    ) -> None:
        now = time.time()
        made = snapshot(started=now)
        named = made.report.cliffs[0]
        same = Cliff("", "*", named.at, 3, exactly(13_000), 500.0)
        other = Cliff("", "*", now + 60, 1, exactly(5_000), 500.0)
        keep(store, replace(made, report=replace(made.report, cliffs=(named, same, other))))
        said = words(section(shown(viewer), "cliffs"))
        assert "13 000" not in said
        assert "5 000 keys expire within 1 s" in said

    def test_one_of_keys_without_a_namespace_says_that_its_links_are_about_all_keys(
        self, operator: FlaskClient, store: Store
    ) -> None:
        made = snapshot(started=time.time())
        nameless = Cliff("*", "*", time.time() + 300, 1, exactly(5_000), 5.0)
        row = replace(made.report.namespaces[0], name="*")
        keep(store, replace(made, report=replace(made.report, cliffs=(nameless,), namespaces=(row,))))
        page = shown(operator)
        said = words(section(page, "cliffs"))
        assert "All keys that expire then" in said
        assert "Spread all that expire then…" in said
        assert "Show them" not in said
        assert "leads to all keys" in words(section(page, "namespaces-ttl"))
        assert "leads to all keys" in words(section(shown(operator, "/caches/main/memory"), "namespaces"))

    @pytest.mark.parametrize(
        "selection",
        [
            {"pattern": "api:search:*", "ttl": "@{:.3f}-{:.3f}"},
            {"ttl": "@{:.3f}-{:.3f}"},
            {"pattern": "api:*"},
            {"pattern": "api:*", "ttl": "60-7200"},
        ],
        ids=str,
    )
    def test_one_that_was_retimed_since_says_by_whom_and_is_not_offered_again(
        self, operator: FlaskClient, store: Store, selection: dict[str, str]
    ) -> None:
        made = snapshot(started=time.time() - 5)
        at = made.report.cliffs[0].at
        keep(store, made)
        retime(store, {name: value.format(at, at + 2) for name, value in selection.items()})
        page = shown(operator)
        said = words(section(page, "cliffs"))
        assert re.search(r"retimed [\d:]+ UTC by ada: analyse again", said)
        assert "Spread" not in said
        assert answer(page).endswith("; the cliff that was seen has been retimed since.")

    @pytest.mark.parametrize(
        ("selection", "state", "started"),
        [
            ({"pattern": "api:user:*"}, "finished", -5),
            ({"pattern": "api:*", "type": "hash"}, "finished", -5),
            ({"pattern": "api:*", "ttl": "0-60"}, "finished", -5),
            ({"pattern": "api:*", "ttl": "none"}, "finished", -5),
            ({"pattern": "api:*"}, "finished", 5),
            ({"pattern": "api:*"}, "cancelled", -5),
        ],
        ids=str,
    )
    def test_a_retiming_of_other_keys_or_before_it_or_cut_short_changes_no_offer(
        self, operator: FlaskClient, store: Store, selection: dict[str, str], state: str, started: float
    ) -> None:
        keep(store, snapshot(started=time.time() + started))
        retime(store, selection, state)
        said = words(section(shown(operator), "cliffs"))
        assert "Spread these…" in said
        assert ("partly retimed" in said) == (state == "cancelled")

    def test_a_handful_of_keys_is_counted_and_not_named(self, viewer: FlaskClient, store: Store) -> None:
        made = snapshot(started=time.time(), cliff=False)
        few = tuple(Cliff("cfg:*", "cfg:*", time.time() + at, 1, exactly(99), 0.0) for at in (60, 90))
        keep(store, replace(made, report=replace(made.report, cliffs=few)))
        said = words(section(shown(viewer), "cliffs"))
        assert "No cliff" in said
        assert "2 of fewer than 100 keys are not listed." in said


def retime(store: Store, selection: dict[str, str], state: str = "finished") -> None:
    """A retiming of ada's that has just ended."""
    job = jobs.create(store, "apart", "retime", {"selection": selection, "change": {}}, "ada", "127.0.0.1")
    jobs.claim(store, "worker", ["apart"])
    jobs.save(store, job.id, "worker", {"examined": 1}, "{}")
    jobs.end(store, job.id, "worker", state)  # type: ignore[arg-type]
    with store.write() as session:
        session.execute(update(JobRow).where(JobRow.id == job.id).values(cache="main"))


class TestForecast:
    def test_a_caption_names_the_span_of_its_highest_column(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot(started=time.time()))
        here = words(section(shown(viewer), "forecast"))
        assert re.search(r"keys in one second, at \d\d:\d\d:\d\d UTC;", here)
        spans = re.findall(r"keys in one (\w+), from \d\d:(\d\d):(\d\d) UTC to \d\d:(\d\d):(\d\d) UTC;", here)
        assert [unit for unit, *_ in spans] == ["minute", "hour"]
        assert [(int(to) - int(since)) % 60 for _, since, _, to, _ in spans] == [1, 0]

    def test_three_charts_with_a_caption_and_a_table_each(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot(started=time.time()))
        here = section(shown(viewer), "forecast")
        for unit, bins in (("second", 60), ("minute", 60), ("hour", 24)):
            chart = here[here.index(f'id="forecast-{unit}"') :].partition("</figure>")[0]
            assert chart.count('class="column') - chart.count('class="columns') >= bins
            assert re.search(rf"At most [\d ]+ keys in one {unit}", chart)
            assert len(re.findall(r"<tr><td>", chart)) == bins

    def test_bytes_are_left_out_where_the_server_tells_none(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot(started=time.time(), memory=False))
        assert "bytes per second" not in section(shown(viewer), "forecast")

    def test_the_column_of_a_cliff_stands_out(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot(started=time.time()))
        here = section(shown(viewer), "forecast")
        [minute] = re.findall(r'column-cliff"><title>([^<]*)<', here.partition('id="forecast-hour"')[0])
        assert re.match(r"in 21 min: 1\d \d{3} keys, .*B: a cliff", minute)

    def test_an_old_result_says_what_it_cannot_resolve(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot(started=time.time() - 2 * slots.HOUR))
        said = words(section(shown(viewer), "forecast"))
        assert "The analysis is 2 h old: so far ahead of it times are known by 1 min only" in said


class TestTimeToLive:
    def test_every_bucket_has_its_keys_and_leads_to_them(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot(), Selection(b"*", "string"))
        here = section(shown(viewer, f"{HERE}?type=string"), "distribution")
        rows = re.findall(r'<th scope="row"><a href="([^"]*)"[^>]*>([^<]*)<', here)
        assert [label for _, label in rows] == [*slots.TTL_LABELS, "no TTL"]
        conditions = [href.removeprefix("/caches/main/keys?type=string&ttl=") for href, _ in rows]
        assert conditions[:3] == ["0-1", "1-10", "10-60"]
        assert conditions[-2:] == ["%3E2592000", "none"]
        assert {viewer.get(href).status_code for href, _ in rows} == {200}

    def test_a_row_leads_nowhere_where_no_selection_can_say_it(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot(), Selection(b"*", ttl="any"))
        assert "<a" not in section(shown(viewer, f"{HERE}?ttl=any"), "distribution")

    def test_an_estimate_has_its_interval_in_words_and_in_its_bar(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot(0.05, ended=False), state="running")
        here = section(shown(viewer), "distribution")
        assert here.count('class="bar-interval"') == 3 * 12
        assert re.search(r"39\.\d k to 42\.\d k", words(here))

    def test_what_is_exact_has_none(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot())
        here = section(shown(viewer), "distribution")
        assert "bar-interval" not in here
        assert words(here).count("exact") == 12


class TestNamespaces:
    def test_each_has_a_strip_its_numbers_and_its_keys(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot())
        here = section(shown(viewer), "namespaces-ttl")
        assert here.count('class="heat"') == len(KINDS)
        assert 'href="/caches/main/keys?pattern=api:user:*:posts"' in here
        assert "<dt>1 to 6 h</dt><dd><span" in here

    def test_a_name_that_looks_like_a_glob_or_like_html_is_a_name(self, viewer: FlaskClient, store: Store) -> None:
        made = snapshot()
        rows = tuple(
            NamespaceRow(name, exactly(5), None, exactly(0), None, name) for name in ("<b>[x]</b>:*", "a?b\\c", OTHER)
        )
        keep(store, replace(made, report=replace(made.report, namespaces=rows)))
        here = section(viewer.get(HERE).text, "namespaces-ttl")
        assert "<b>" not in here
        links = re.findall(r'href="([^"]*)" data-row-link', here)
        assert len(links) == 2  # the others together are no selection
        assert all(viewer.get(unescape(link)).status_code == 200 for link in links)

    def test_heads_name_their_unit(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot())
        assert "No TTL, keys" in section(shown(viewer), "namespaces-ttl")
        assert "No\u00a0TTL, bytes" in section(shown(viewer, "/caches/main/memory"), "namespaces")

    def test_those_that_are_not_listed_are_counted(self, viewer: FlaskClient, store: Store) -> None:
        made = snapshot()
        keep(store, replace(made, report=replace(made.report, namespaces_found=9_999, bound=120)))
        said = words(section(shown(viewer), "namespaces-ttl"))
        assert "The 7 largest of 9 999 namespaces; none that is not listed has more than 120 keys." in said


class TestRules:
    def test_each_place_leads_to_its_keys(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot())
        here = section(shown(viewer), "rules")
        assert "15 min to 30 min" in here
        assert 'href="/caches/main/keys?pattern=sess:*&ttl=900-1800"' in here
        assert 'href="/caches/main/keys?pattern=sess:*&ttl=0-900"' in here
        assert 'href="/caches/main/keys?pattern=catalogue:*&ttl=none"' in here
        assert "Fix" not in here

    def test_what_is_out_of_range_can_be_put_right(self, operator: FlaskClient, store: Store) -> None:
        made = snapshot()
        short = tuple(replace(row, longest=200.0) if row.pattern == "sess:*" else row for row in made.report.rules)
        keep(store, replace(made, report=replace(made.report, rules=short)))
        here = section(shown(operator), "rules")
        fixes = re.findall(r'href="([^"]*)" aria-label="Fix', here)
        assert [fix.partition("?")[2] for fix in fixes] == [
            "pattern=sess:*&ttl=0-900&low=900&high=1800",
            "pattern=catalogue:*&ttl=none&low=3600&high=21600",
        ]
        assert {operator.get(fix).status_code for fix in fixes} == {200}

    def test_keys_that_have_only_grown_old_are_not_offered(self, operator: FlaskClient, store: Store) -> None:
        """Some key of the rule has its whole range left, so they are written as they should be."""
        keep(store, snapshot())
        assert "ttl=0-900&low=900" not in section(shown(operator), "rules")

    def test_it_says_that_keys_grow_old(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot())
        assert "The time left falls as a key grows old" in section(shown(viewer), "rules")

    def test_a_pattern_of_markup_is_text(self, viewer: FlaskClient, store: Store) -> None:
        made = snapshot()
        rule = RuleRow(1, "<i>*", 1.5, 1.5, '"><script>', inside=exactly(1), longest=1.0)
        keep(store, replace(made, report=replace(made.report, rules=(rule,))))
        here = section(viewer.get(HERE).text, "rules")
        assert "<i>" not in here
        assert "<script>" not in here

    def test_without_rules_it_says_so(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot(rules=False))
        assert "No TTL rule was in force when this analysis began." in section(shown(viewer), "rules")


def test_a_fragment_is_what_changes_with_the_answer_and_without_the_page(viewer: FlaskClient, store: Store) -> None:
    keep(store, snapshot())
    part = viewer.get(HERE, headers=by_htmx(viewer)).text
    assert "<html" not in part
    assert 'id="answer" hx-swap-oob="true"' in part
    assert 'id="analysis-status"' in part
    assert 'class="selection"' not in part


@pytest.mark.parametrize(
    "query", ["ttl=300-900", "ttl=@1767322800-1767322802", "size=>1024", "type=ReJSON-RL", "ttl=<90"]
)
def test_the_bar_offers_what_the_address_asks_for(viewer: FlaskClient, query: str) -> None:
    page = viewer.get(f"{HERE}?{query}").text
    asked = query.partition("=")[2]
    assert re.search(rf'<option value="{re.escape(asked.replace("<", "&lt;").replace(">", "&gt;"))}" selected>', page)


def test_the_bar_words_what_it_was_asked(viewer: FlaskClient) -> None:
    assert "5 min to 15 min" in shown(viewer, f"{HERE}?ttl=300-900")
    assert "expires 2026-01-02 03:00:00 to 03:00:02 UTC" in shown(viewer, f"{HERE}?ttl=@1767322800-1767322802")
    assert "over 1 kB" in shown(viewer, f"{HERE}?size=>1024")
    assert "under 1 min 30 s" in shown(viewer, f"{HERE}?ttl=<90")


def test_a_wrong_filter_is_refused_with_a_sentence(viewer: FlaskClient) -> None:
    assert viewer.get(f"{HERE}?ttl=soon").status_code == 400
