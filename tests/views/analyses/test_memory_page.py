"""Memory, comparison and savings: what is drawn from a kept result, and who may start what."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from dashboard.cache.analysis.report import OTHER, Activity, BigKey, Group, NamespaceRow, Snapshot
from dashboard.cache.estimate import Estimate, exactly
from dashboard.cache.saving.report import Saving, Way
from dashboard.cache.selecting.selection import Selection
from dashboard.store import audit, jobs
from dashboard.store.engine import Store
from dashboard.views.analyses.memory_figures import hues
from tests.kept import SAVES, keep_saving
from tests.snapshots import KINDS, keep, snapshot
from tests.views.conftest import by_htmx, post

MEMORY = "/caches/main/memory"
COMPARISON = "/caches/main/comparison"
SAVINGS = "/caches/main/savings"


def words(text: str) -> str:
    """What a page says, in one line with plain spaces."""
    return " ".join(re.sub(r"<[^>]*>", " ", text).replace("\u202f", " ").split())


def section(text: str, identity: str) -> str:
    found = re.search(rf'<section[^>]*id="{identity}".*?</section>', text, re.DOTALL)
    assert found, identity
    return found.group(0)


def changed(one: Snapshot, **changes: object) -> Snapshot:
    return replace(one, report=replace(one.report, **changes))  # type: ignore[arg-type]


class TestTheAnswer:
    def test_it_says_what_takes_most_and_how_much_never_expires(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot(cliff=False))
        assert "54 % of 1.5 GB is api:search:*; 6 % never expires." in words(viewer.get(MEMORY).text)

    def test_an_estimate_says_that_it_is_one(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot(0.05), state="cancelled")
        assert "About 54 % of 1.5 GB is api:search:*" in words(viewer.get(MEMORY).text)

    def test_without_sizes_it_ranks_by_keys_and_says_why(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot(memory=False, missing=("MEMORY USAGE is denied: no sizes.",)))
        text = words(viewer.get(MEMORY).text)
        assert "are api:search:*" in text
        assert "Sizes are not told here. MEMORY USAGE is denied: no sizes." in text

    def test_before_any_analysis_it_promises_nothing(self, viewer: FlaskClient, store: Store) -> None:
        text = words(viewer.get(MEMORY).text)
        assert "What the memory is used for is not known yet." in text
        assert "Not analysed yet." in text

    def test_an_empty_cache_and_a_selection_without_keys_differ(self, viewer: FlaskClient, store: Store) -> None:
        nothing = snapshot(kinds=(), cliff=False)
        keep(store, nothing)
        keep(store, nothing, Selection(b"no:*"))
        assert "This cache is empty" in words(viewer.get(MEMORY).text)
        assert "No key matches" in words(viewer.get(f"{MEMORY}?pattern=no:*").text)


class TestTheFigures:
    def test_every_namespace_stands_in_the_table_with_its_links(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot())
        table = section(viewer.get(MEMORY).text, "namespaces")
        for kind in KINDS:
            assert kind.name in table
        assert "/caches/main/keys?pattern=api:user:*" in table.replace("%2A", "*").replace("%3A", ":")
        assert "/caches/main/expiry?pattern=" in table

    def test_what_a_result_does_not_list_stands_last_with_its_bound(self, viewer: FlaskClient, store: Store) -> None:
        seen = snapshot()
        other = NamespaceRow(OTHER, exactly(500), exactly(5_000), exactly(0), exactly(0), "a:1")
        rows = (*seen.report.namespaces, other)
        keep(store, changed(seen, namespaces=rows, namespaces_found=900, bound=12))
        table = section(viewer.get(MEMORY).text, "namespaces")
        assert "all others together" in table
        assert "data-fixed" in table
        assert "one that no result lists has at most 12 keys" in words(table)

    def test_twenty_namespaces_are_shown_and_the_others_on_demand(self, viewer: FlaskClient, store: Store) -> None:
        many = tuple(replace(KINDS[1], name=f"n{chr(97 + n // 26)}{chr(97 + n % 26)}:*", keys=5_000) for n in range(80))
        keep(store, snapshot(kinds=many, cliff=False))
        assert section(viewer.get(MEMORY).text, "namespaces").count('id="ns-') == 20
        assert "Show all 80" in viewer.get(MEMORY).text
        assert section(viewer.get(f"{MEMORY}?rows=all").text, "namespaces").count('id="ns-') == 80

    def test_twenty_of_the_biggest_keys_are_shown_and_the_others_on_demand(
        self, viewer: FlaskClient, store: Store
    ) -> None:
        hundred = tuple(BigKey(f"big:{number}", "string", 9_000_000 - number, -1) for number in range(100))
        keep(store, changed(snapshot(), biggest=hundred))
        table = section(viewer.get(MEMORY).text, "biggest")
        assert table.count('id="big-') == 20
        assert "The 100 largest of all, exactly" in words(table)
        link = re.search(r'href="([^"]*)">Show all 100<', table)
        assert link
        assert section(viewer.get(link[1].replace("&amp;", "&")).text, "biggest").count('id="big-') == 100

    def test_what_was_unfolded_stays_so_while_it_runs(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot(0.2, ended=False), state="running")
        text = viewer.get(f"{MEMORY}?biggest=all&rows=all").text
        polled = re.search(r'hx-get="([^"]*/memory[^"]*)"', text)
        assert polled
        assert "biggest=all" in polled[1]
        assert "rows=all" in polled[1]

    def test_sampled_encodings_are_estimates_with_their_interval_and_shares_of_the_whole(
        self, viewer: FlaskClient, store: Store
    ) -> None:
        seen = snapshot(cliff=False)
        assert seen.report.memory
        whole = seen.report.memory.value
        half = Estimate(whole * 0.5, whole * 0.4, whole * 0.6)
        encodings = (Group("raw", Estimate(500_000, 400_000, 600_000), half),)
        activity = replace(seen.report.activity, sampled=16)
        keep(store, changed(seen, encodings=encodings, activity=activity))
        table = words(section(viewer.get(MEMORY).text, "encodings"))
        assert "≈ 50 %" in table, "of all the memory, although it is all that the sample has"
        assert "± 20 %" in table
        assert "they do not add up to the whole exactly" in table

    def test_exact_types_have_no_interval(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot())
        table = words(section(viewer.get(MEMORY).text, "types"))
        assert "≈" not in table
        assert "95 %" not in table

    def test_percentiles_say_how_right_they_are(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot())
        assert "Percentiles are right to within 6 %." in words(viewer.get(MEMORY).text)

    def test_a_namespace_has_its_colour_from_its_name(self, viewer: FlaskClient, store: Store) -> None:
        one = snapshot().report
        assert hues(replace(one, namespaces=one.namespaces[::-1])) == hues(one), "whatever their order is"
        assert len(set(hues(one).values())) == len(hues(one)), "no two of the largest have the same"

    def test_the_treemap_links_each_namespace_and_says_it_in_words(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot(cliff=False))
        text = viewer.get(MEMORY).text
        assert text.count('class="treemap treemap-') == 2
        labels = [label.replace("\u202f", " ") for label in re.findall(r'aria-label="(api:search:[^"]*)"', text)]
        assert labels.count("api:search:*: 841 MB, 54 % of the memory") == 2

    def test_the_biggest_keys_lead_to_their_pages_where_their_names_are_whole(
        self, viewer: FlaskClient, store: Store
    ) -> None:
        biggest = (
            BigKey("board:all", "zset", 5_000_000, -1, 120_000),
            BigKey("x" * 100, "string", 4_000_000, 30.0, None, 9_900),
            BigKey("\\xff\\xfe", "string", 3_000_000, 30.0),
        )
        keep(store, changed(snapshot(), biggest=biggest))
        table = section(viewer.get(MEMORY).text, "biggest")
        assert 'href="/caches/main/keys/board:all"' in table
        assert 'href="/caches/main/keys/~__4"' in table
        assert "and 9 900 bytes more" in words(table)
        assert f'keys/{"x" * 100}"' not in table
        assert "120 000" in words(table)

    def test_the_biggest_are_exact_of_what_was_examined(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot(0.1), state="running")
        assert "largest of the 101 k examined so far, exactly" in words(viewer.get(MEMORY).text)

    def test_types_and_encodings_have_their_memory(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot())
        text = words(viewer.get(MEMORY).text)
        assert "By type" in text
        assert "listpack" in text

    def test_encodings_and_idle_times_that_are_denied_are_said_in_place(
        self, viewer: FlaskClient, store: Store
    ) -> None:
        denied = ("OBJECT is not allowed for this user.",)
        keep(store, changed(snapshot(missing=denied), encodings=(), activity=Activity()))
        text = words(viewer.get(MEMORY).text)
        assert "Encodings are not told here. OBJECT is not allowed for this user." in text
        assert "Neither idle times nor frequencies of use are told here." in text

    @pytest.mark.parametrize(("kind", "said"), [("idle", "Idle time"), ("frequency", "Frequency of use")])
    def test_it_says_which_activity_the_policy_keeps_and_how_many_were_asked(
        self, viewer: FlaskClient, store: Store, kind: str, said: str
    ) -> None:
        activity = Activity(kind, (Group("0", exactly(10)),), 16)  # type: ignore[arg-type]
        keep(store, changed(snapshot(), activity=activity))
        found = words(section(viewer.get(MEMORY).text, "activity"))
        assert found.startswith(said)
        assert "One key in 16 was asked." in found

    def test_remarks_on_the_design_have_examples_and_a_link(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot())
        found = section(viewer.get(MEMORY).text, "design")
        assert "larger than 1 MB" in words(found)
        assert "size=%3E1048576" in found
        assert "off the form service:entity:id[:field]" in words(found)

    def test_hostile_names_are_text(self, viewer: FlaskClient, store: Store) -> None:
        row = replace(snapshot().report.namespaces[0], name='<script>"x:*', example="<b>", odd_examples={"a": "<i>"})
        keep(store, changed(snapshot(), namespaces=(row,)))
        text = viewer.get(MEMORY).text
        assert "<script>&" not in text
        assert '<script>"x' not in text


class TestWhileItRuns:
    def test_the_fragment_polls_and_brings_the_answer_along(self, viewer: FlaskClient, store: Store) -> None:
        job = keep(store, snapshot(0.2), state="running")
        text = viewer.get(f"{MEMORY}?job={job.id}", headers=by_htmx(viewer)).text
        assert 'hx-trigger="every 1s"' in text
        assert 'hx-swap-oob="true"' in text
        assert "<html" not in text

    def test_a_result_polls_no_more(self, viewer: FlaskClient, store: Store) -> None:
        job = keep(store, snapshot())
        assert "every 1s" not in section_of_analysis(viewer.get(f"{MEMORY}?job={job.id}").text)

    def test_a_job_of_another_cache_or_kind_is_not_found(self, viewer: FlaskClient, store: Store) -> None:
        assert viewer.get(f"{MEMORY}?job=77").status_code == 404


def section_of_analysis(text: str) -> str:
    return text[text.index('id="analysis"') : text.index("</main>")]


class TestComparison:
    def test_memory_says_what_has_changed_since_the_earlier_result(self, viewer: FlaskClient, store: Store) -> None:
        before, after = keep(store, snapshot()), keep(store, grown())
        text = viewer.get(MEMORY).text
        found = re.search(r'id="changed".*?</p>', text, re.DOTALL)
        assert found
        assert "api:search:* + 841 MB" in words(found.group(0))
        assert f"before={before.id}&amp;after={after.id}" in found.group(0)

    def test_it_has_a_line_for_each_namespace_that_changed(self, viewer: FlaskClient, store: Store) -> None:
        before, after = keep(store, snapshot()), keep(store, grown())
        text = viewer.get(f"{COMPARISON}?before={before.id}&after={after.id}").text
        table = section(text, "namespaces")
        assert "api:search:*" in table
        assert "catalogue:*" not in table
        assert "6 namespaces have not changed at all." in words(table)

    def test_the_order_in_which_they_are_asked_for_does_not_matter(self, viewer: FlaskClient, store: Store) -> None:
        before, after = keep(store, snapshot()), keep(store, grown())
        one = viewer.get(f"{COMPARISON}?before={before.id}&after={after.id}").text
        other = viewer.get(f"{COMPARISON}?before={after.id}&after={before.id}").text
        assert words(section(one, "namespaces")) == words(section(other, "namespaces"))

    def test_a_change_within_the_uncertainty_is_called_no_certain_change(
        self, viewer: FlaskClient, store: Store
    ) -> None:
        keep(store, snapshot(0.05), state="cancelled")
        keep(store, snapshot(0.06), state="cancelled")
        assert "no certain change" in words(viewer.get(COMPARISON).text)

    def test_without_numbers_the_two_newest_are_compared(self, viewer: FlaskClient, store: Store) -> None:
        for one in (snapshot(), snapshot(), grown()):
            keep(store, one)
        assert "api:search:* + 841 MB" in words(viewer.get(COMPARISON).text)

    def test_a_broken_side_is_said_on_top_and_nothing_is_concluded_from_it(
        self, viewer: FlaskClient, store: Store
    ) -> None:
        before = keep(store, snapshot())
        after = keep(store, snapshot(0.07, ended=False), state="cancelled")
        text = viewer.get(f"{COMPARISON}?before={before.id}&after={after.id}").text
        answer = words(text.partition('id="answer"')[2].partition("</p>")[0])
        assert "One of the two results is incomplete, so nothing is concluded from them here." in answer
        assert "api:" not in answer
        assert "was cancelled at 7 %. What it has not seen may look as if it were gone" in words(text)

    def test_pickers_say_the_state_and_the_newest_complete_ones_come_first(
        self, viewer: FlaskClient, store: Store
    ) -> None:
        before, after = keep(store, snapshot()), keep(store, grown())
        broken = keep(store, snapshot(0.07, ended=False), state="cancelled")
        text = viewer.get(COMPARISON).text.replace("\u202f", " ")
        assert re.search(rf'value="{broken.id}">[^<]*, cancelled at 7 %<', text)
        assert re.search(rf'value="{before.id}" selected>[^<]*, exact<', text)
        assert re.search(rf'value="{after.id}" selected>[^<]*, exact<', text)

    def test_memory_concludes_nothing_from_a_broken_result(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot(0.07, ended=False), state="cancelled")
        after = keep(store, grown())
        assert 'id="changed"' not in viewer.get(f"{MEMORY}?job={after.id}").text

    def test_one_that_vanished_is_listed_first_although_the_other_result_lists_too_few_to_be_certain(
        self, viewer: FlaskClient, store: Store
    ) -> None:
        small = tuple(replace(KINDS[1], name=f"n{chr(97 + n // 26)}{chr(97 + n % 26)}:*", keys=100) for n in range(150))
        lost = replace(KINDS[0], name="lost:*", keys=40_000)
        before = keep(store, snapshot(kinds=(*small, lost), cliff=False))
        more = tuple(replace(one, keys=110) for one in small)
        later = snapshot(kinds=more, cliff=False)
        after = keep(store, changed(later, bound=50_000))
        table = section(viewer.get(f"{COMPARISON}?before={before.id}&after={after.id}").text, "namespaces")
        assert words(table.partition("<tbody>")[2]).startswith("lost:*")
        assert "not listed now" in words(table)

    def test_every_line_has_its_word(self, viewer: FlaskClient, store: Store) -> None:
        before, after = keep(store, snapshot()), keep(store, grown())
        text = viewer.get(f"{COMPARISON}?before={before.id}&after={after.id}").text
        found = re.findall(r'<td class="nowrap row-foot">(.*?)</td></tr>', text, re.DOTALL)
        assert found
        assert all(words(one) for one in found)
        assert "more" in [words(one) for one in found]

    def test_results_of_different_keys_are_not_compared(self, viewer: FlaskClient, store: Store) -> None:
        one, other = keep(store, snapshot()), keep(store, snapshot(), Selection(b"api:*"))
        answer = viewer.get(f"{COMPARISON}?before={one.id}&after={other.id}")
        assert answer.status_code == 400
        assert "only two of the same selection" in answer.text

    def test_one_result_alone_leads_back_to_memory(self, viewer: FlaskClient, store: Store) -> None:
        keep(store, snapshot())
        text = words(viewer.get(COMPARISON).text)
        assert "There is one result only" in text

    def test_a_number_that_is_no_analysis_is_not_found(self, viewer: FlaskClient, store: Store) -> None:
        assert viewer.get(f"{COMPARISON}?before=99").status_code == 404


def grown() -> Snapshot:
    """The same keyspace with twice as many keys of api:search:*."""
    kinds = (replace(KINDS[0], keys=2 * KINDS[0].keys), *KINDS[1:])
    return snapshot(kinds=kinds, started=1_767_409_200.0)


SMALL = (replace(KINDS[1], name="api:name:*", size=90, example="api:name:7"), *KINDS[2:])


class TestSavings:
    def test_they_are_offered_for_many_small_strings_only(self, operator: FlaskClient, store: Store) -> None:
        keep(store, snapshot(kinds=SMALL))
        offered = re.findall(r'name="namespace" value="([^"]*)"', operator.get(MEMORY).text)
        assert offered == ["api:name:*", "rate:*"]

    def test_a_viewer_is_offered_none_and_refused(self, viewer: FlaskClient, store: Store) -> None:
        job = keep(store, snapshot(kinds=SMALL))
        assert "In hashes?" not in viewer.get(MEMORY).text
        assert post(viewer, SAVINGS, {"analysis": str(job.id), "namespace": "api:name:*"}).status_code == 403
        assert jobs.newest(store, "main", "saving") == []

    def test_an_operator_starts_one_which_is_audited(self, operator: FlaskClient, store: Store) -> None:
        job = keep(store, snapshot(kinds=SMALL))
        answer = post(operator, SAVINGS, {"analysis": str(job.id), "namespace": "api:name:*"})
        (made,) = jobs.newest(store, "main", "saving")
        assert (answer.status_code, answer.location) == (303, f"{SAVINGS}/{made.id}")
        assert made.arguments == {"namespace": "api:name:*", "keys": [260_000.0] * 3, "analysis": job.id}
        (entry,) = audit.search(store, audit.Filters(action="saving.start"))
        assert (entry.subject, entry.actor, entry.after) == ("strings of api:name:*", "otto", {"job": made.id})

    def test_a_namespace_that_the_analysis_does_not_list_is_refused(self, operator: FlaskClient, store: Store) -> None:
        job = keep(store, snapshot(kinds=SMALL))
        assert post(operator, SAVINGS, {"analysis": str(job.id), "namespace": "else:*"}).status_code == 409
        assert post(operator, SAVINGS, {"analysis": "99", "namespace": "api:name:*"}).status_code == 404

    def test_what_saves_says_how_much_and_what_one_gives_up(self, viewer: FlaskClient, store: Store) -> None:
        text = words(viewer.get(shown(store, SAVES)).text)
        assert "Hashes would save 60 %, 57.2 MB of the whole namespace: 40 B for each key in a hash" in text
        assert "100 B as a string, measured with 5 000 keys." in text
        assert "What one gives up for it" in text
        assert "one slot" in text

    def test_it_says_why_strings_may_exceed_what_memory_says(self, viewer: FlaskClient, store: Store) -> None:
        text = words(viewer.get(shown(store, SAVES)).text)
        assert "So it can exceed what Memory says for the namespace." in text

    def test_what_does_not_save_says_so_plainly(self, viewer: FlaskClient, store: Store) -> None:
        costly = replace(SAVES, hashes=Way(600_000, 50, 0), unfit=4_000)
        text = words(viewer.get(shown(store, costly)).text)
        assert "Hashes do not save here. It would cost more" in text
        assert "larger than 64 bytes" in text

    def test_a_ttl_on_each_field_has_a_line_of_its_own(self, viewer: FlaskClient, store: Store) -> None:
        text = words(viewer.get(shown(store, replace(SAVES, timed=Way(520_000, 50, 0), with_ttl=5_000))).text)
        assert "With a TTL on each field nothing is left of that" in text
        assert "All of the 5 000 sampled keys have a TTL of their own" in text

    def test_too_few_keys_are_said_to_be_too_few(self, viewer: FlaskClient, store: Store) -> None:
        few = replace(SAVES, sampled=3, strings=None, hashes=None)
        assert "3 string keys found: too few to measure anything." in words(viewer.get(shown(store, few)).text)

    def test_while_it_is_measured_the_page_asks_again(self, viewer: FlaskClient, store: Store) -> None:
        going = replace(SAVES, stage="loading them as hashes", hashes=None)
        found = keep_saving(store, going, state="running")
        text = viewer.get(f"{SAVINGS}/{found.id}", headers=by_htmx(viewer)).text
        assert 'hx-trigger="every 1s"' in text
        assert "loading them as hashes" in text

    def test_one_that_did_not_end_claims_no_result(self, viewer: FlaskClient, store: Store) -> None:
        cut = keep_saving(store, replace(SAVES, stage="reading a sample", strings=None, hashes=None), state="cancelled")
        text = words(viewer.get(f"{SAVINGS}/{cut.id}").text)
        assert "Not measured to the end: cancelled." in text
        assert "Being measured" not in text

    def test_an_analysis_is_no_saving(self, viewer: FlaskClient, store: Store) -> None:
        job = keep(store, snapshot())
        assert viewer.get(f"{SAVINGS}/{job.id}").status_code == 404


def shown(store: Store, found: Saving) -> str:
    return f"{SAVINGS}/{keep_saving(store, found).id}"
