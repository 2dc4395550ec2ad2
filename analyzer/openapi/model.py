"""What is known of an API by a document."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from analyzer.baselines.learned import Learned, Name

# Says what is wrong with a body, without its values; "": nothing is.
Check = Callable[[bytes], str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a document says of responses with one status: media types, each with its schema.

    None: nothing is said of what they look like.
    """

    content: Mapping[str, Any] = field(default_factory=dict)

    def media_range(self, media_type: str) -> str | None:
        """The media range of the document that a media type is in, the narrowest; None: none."""
        ranges = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
        return next((one for one in ranges if one in self.content), None)


@dataclass(frozen=True, slots=True)
class Document:
    """A document: what is known by it, and what it says of each endpoint's responses by status.

    A status is `200`, `2XX` or `default`. `check` makes a check of a schema of the document.
    """

    path: str
    learned: Learned
    answers: Mapping[Name, Mapping[str, Answer]]
    check: Callable[[Any], Check]

    def answer(self, name: Name, status: int) -> Answer | None:
        """What it says of an endpoint's responses with a status; None where it has no such."""
        answers = self.answers.get(name, {})
        wanted = (str(status), f"{status // 100}XX", "default")
        return next((answers[one] for one in wanted if one in answers), None)
