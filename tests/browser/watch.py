"""A page under watch: what no page of ours may ever do is written down, and fails its test.

That is: an error or warning on the console, a violation of the Content-Security-Policy, an exception
in a script, a script's dialog, a request to another origin, and a run of the script that the hostile
keys carry.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Page, Request

_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  reportViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""


@dataclass
class Watch:
    """Complaints about the pages of some contexts. `expected` are patterns of what a test provokes."""

    origin: str
    complaints: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)

    def expect(self, *patterns: str) -> None:
        """Allow complaints that match: a status the test provokes, a connection that it breaks."""
        self.expected += patterns

    def expect_status(self, *statuses: int) -> None:
        """Chromium writes every 4xx and 5xx to the console."""
        self.expect(*(f"the server responded with a status of {status}" for status in statuses))

    def over(self, context: BrowserContext, *, scripts: bool = True) -> None:
        """Watch every page of a context, those of the future too."""
        if scripts:
            context.expose_function("reportViolation", lambda text: self._complain(f"Content-Security-Policy: {text}"))
            context.add_init_script(_VIOLATIONS)
        context.on("page", self._watch)

    def verify(self) -> None:
        """Raise AssertionError for every complaint that the test did not provoke."""
        for page in self.pages:
            if not page.is_closed() and page.evaluate("window.__pwned"):
                self._complain("a hostile key's script ran")
        left = [one for one in self.complaints if not any(re.search(pattern, one) for pattern in self.expected)]
        assert not left, "\n".join(left)

    def _complain(self, text: str) -> None:
        self.complaints.append(text)

    def _watch(self, page: Page) -> None:
        self.pages.append(page)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self._complain(f"exception: {error}"))
        page.on("dialog", self._dialog)
        page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._complain(f"console {message.type}: {message.text} ({message.location.get('url', '')[:200]})")

    def _dialog(self, dialog: Dialog) -> None:
        self._complain(f"a script's dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.origin, "data:", "blob:")):
            self._complain(f"a request to elsewhere: {request.url[:200]}")
