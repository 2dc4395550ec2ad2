"""A complete response body in, what is kept of it out: the number of its form, and a checksum."""

from typing import NamedTuple
from zlib import adler32

from analyzer import limits
from analyzer.anomalies import Anomalies
from analyzer.http import content
from analyzer.http.grammar import Fields
from analyzer.shapes import NO_FORM, UNKNOWN_FORM, Form, Forms, may_be_json, may_repeat


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
        if len(body) > limits.BODY and may_be_json(media_type):
            return self.too_long()
        checksum = adler32(body)
        json = may_be_json(media_type)
        form = UNKNOWN_FORM if json else self.forms.number(Form(media_type, None))
        if not may_repeat(media_type) or len(body) > limits.BODY:
            return Look(form, checksum)
        if fields.content_coding:
            plain = content.decoded(body, fields.content_coding)
            if plain is None:
                self._anomalies.count("body-undecodable")
                return Look(form, checksum)
            body = plain
        if not json:
            return Look(form, checksum, body)
        return Look(self.forms.of(media_type, body), checksum, body)

    def too_long(self) -> Look:
        """What is known of a JSON body that is too long to look into."""
        self._anomalies.count("body-too-long")
        return Look(UNKNOWN_FORM)
