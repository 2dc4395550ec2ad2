"""A complete response body in, what is kept of it out: the number of its form, and a checksum."""

from typing import NamedTuple
from zlib import adler32

from analyzer import limits
from analyzer.anomalies import Anomalies
from analyzer.features.forms import Forms, is_read, may_repeat, unread
from analyzer.features.shapes import NO_FORM, UNKNOWN_FORM, may_be_json
from analyzer.http import content
from analyzer.http.grammar import Fields


class Look(NamedTuple):
    """What a look into a body gives: `form` is a number of `Forms`, `checksum` an Adler-32.

    `text` is the text that it holds, without any coding: JSON, or a page or document that may
    repeat what was asked for; None where it holds none.
    """

    form: int
    checksum: int = 0
    text: bytes | None = None


class Bodies:
    """Looks into bodies, counting what is odd about them."""

    def __init__(self, anomalies: Anomalies) -> None:
        self.forms = Forms(anomalies)
        self._anomalies = anomalies

    def look(self, fields: Fields, body: bytes) -> Look:
        """Look into `body`, transfer coding removed, of a response with these fields."""
        media_type = fields.media_type
        if not body:
            return Look(NO_FORM)
        if len(body) > limits.BODY:
            form = self.too_long(media_type)
            return Look(form, 0 if may_be_json(media_type) else adler32(body))
        checksum = adler32(body)
        if not is_read(media_type):
            return Look(self.unread(media_type), checksum)
        if fields.content_coding:
            plain = content.decoded(body, fields.content_coding)
            if plain is None:
                self._anomalies.count("body-undecodable")
                return Look(self.unread(media_type), checksum)
            body = plain
        text = body if may_repeat(media_type) else None
        return Look(self.forms.of(media_type, body), checksum, text)

    def unread(self, media_type: str) -> int:
        """The form of a body that could not be looked into: what its media type alone says."""
        form = unread(media_type)
        return UNKNOWN_FORM if form is None else self.forms.number(form)

    def too_long(self, media_type: str) -> int:
        """The form of a body that is too long to look into."""
        form = self.unread(media_type)
        if form == UNKNOWN_FORM:
            self._anomalies.count("body-too-long")
        return form
