"""Draft: one message to the applications, before it is published. Pure.

It is an invalidation of keys, of a pattern or of tags in the documented form (told_form.py), or raw text that is sent
byte for byte.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any, Literal, get_args

from dashboard.cache.messages.told_form import BATCH, asking, fields_of, message, names
from dashboard.cache.selecting.key_token import printable
from dashboard.cache.selecting.selection import BadSelection, Selection
from dashboard.cache.selecting.words import PATTERN_SHOWN, in_words

Form = Literal["keys", "pattern", "tags", "text"]
FORMS: tuple[Form, ...] = get_args(Form)

CHANNEL_LIMIT = 1024  # bytes
TAG_LIMIT = 1024  # bytes
MOST_TAGS = 100
MOST_BYTES = 10 * 1024 * 1024
"""Of a payload. Whoever has to send more should not do it by Pub/Sub: it stands in the buffer of each receiver."""

REPLY_PREFIX = "cachedeck:ack:"
"""Of the channels on which applications answer, each of which is used once; for their ACL, `&cachedeck:ack:*`."""


class BadDraft(ValueError):
    """A message that is not sent. `field`: which part of it; the text is a sentence for the operator."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


@dataclass(frozen=True)
class Prepared:
    """What is published. id: by which an acknowledgement names it; reply: the channel on which that comes; both ""
    where nobody is asked for one."""

    payload: bytes
    id: str = ""
    reply: str = ""


@dataclass(frozen=True)
class Draft:
    """A message to `channel`, sharded or not. Of keys, pattern, tags and text that one counts which `form` names.

    Raises BadDraft.
    """

    channel: bytes
    form: Form
    keys: tuple[bytes, ...] = ()
    pattern: bytes = b""
    tags: tuple[bytes, ...] = ()
    text: bytes = b""
    sharded: bool = False

    def __post_init__(self) -> None:
        if not 0 < len(self.channel) <= CHANNEL_LIMIT:
            raise BadDraft("channel", f"A channel's name has 1 to {CHANNEL_LIMIT:,} bytes.")
        if self.form == "tags":
            self._check_tags()
        elif self.form == "text":
            if len(self.text) > MOST_BYTES:
                raise BadDraft("text", f"A message has at most {MOST_BYTES >> 20} MB.")
        elif self.form in FORMS:
            self._check_keys()
        else:
            raise BadDraft("form", "A message is about keys, a pattern or tags, or it is raw text.")

    def _check_tags(self) -> None:
        if not self.tags or not all(self.tags):
            raise BadDraft("tags", "Write at least one tag.")
        if len(self.tags) > MOST_TAGS or any(len(tag) > TAG_LIMIT for tag in self.tags):
            raise BadDraft("tags", f"At most {MOST_TAGS} tags go into a message, of {TAG_LIMIT:,} bytes each.")

    def _check_keys(self) -> None:
        if self.form == "pattern" and not self.pattern:
            raise BadDraft("pattern", "The pattern is empty. All keys is *, typed out.")
        if len(self.keys) > BATCH:
            raise BadDraft("keys", f"At most {BATCH} keys go into a message. For more, publish a pattern.")
        try:
            self.selection  # noqa: B018  (it raises)
        except BadSelection as error:
            raise BadDraft(self.form, str(error)) from None

    @property
    def selection(self) -> Selection:
        """Of the forms keys and pattern."""
        return Selection(keys=self.keys) if self.form == "keys" else Selection(self.pattern)

    @property
    def in_words(self) -> str:
        """`the key api:user:1`, `keys of api:*`, `2 tags (red and others)`, `raw text`."""
        if self.form == "text":
            return "raw text"
        if self.form != "tags":
            return in_words(self.selection)
        first = printable(self.tags[0])
        shown = first if len(first) <= PATTERN_SHOWN else f"{first[: PATTERN_SHOWN - 1]}…"
        return f"the tag {shown}" if len(self.tags) == 1 else f"{len(self.tags)} tags ({shown} and others)"

    def prepared(self, cache: str, *, asks: bool) -> Prepared:
        """What is published in the name of a cache. asks: for acknowledgements.

        Raw text is asked about only where it is a JSON object: it gets `id` and `reply` at its end, or, where it has
        both of its own, those count. Any other is sent as it is, and nobody can say which one was received.
        """
        number = secrets.token_hex(8)
        reply = REPLY_PREFIX + number
        if self.form == "text":
            return self._text(number, reply, fields_of(self.text) if asks else None)
        asked = {"id": number, "reply": reply} if asks else {}
        payload = message(_TYPES[self.form], cache, **{**self._about(), **asked})
        return Prepared(payload, number, reply) if asks else Prepared(payload)

    def _about(self) -> dict[str, Any]:
        if self.form == "keys":
            return {"keys": names(self.keys)}
        if self.form == "tags":
            return {"tags": names(self.tags)}
        return {"pattern": names([self.pattern])[0], "filters": {}}

    def _text(self, number: str, reply: str, fields: dict[str, Any] | None) -> Prepared:
        if fields is None:
            return Prepared(self.text)
        if not {"id", "reply"} & fields.keys():
            return Prepared(asking(self.text, number, reply), number, reply)
        own, answers = fields.get("id"), fields.get("reply")
        if not (isinstance(own, str) and own and isinstance(answers, str)):
            return Prepared(self.text)
        size = len(answers.encode("utf-8", "surrogatepass"))
        return Prepared(self.text, own, answers) if 0 < size <= CHANNEL_LIMIT else Prepared(self.text)


_TYPES = {"keys": "keys", "pattern": "selection", "tags": "tags"}
