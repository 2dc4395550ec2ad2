"""What tokens that are repeated, or not, are worth."""

import pytest

from analyzer.baselines.tokens import Rate, accident, lacking


@pytest.mark.parametrize("asked", [1, 3, 10, 100])
def test_the_more_repeat_their_token_the_odder_is_one_that_does_not(asked: int) -> None:
    fewer = lacking(Rate(asked, asked), but=0)
    assert lacking(Rate(2 * asked, 2 * asked), but=0) > fewer > 2


def test_the_response_in_question_is_left_out() -> None:
    assert lacking(Rate(21, 20), but=1) > lacking(Rate(21, 20), but=0)


def test_where_half_repeat_it_a_missing_one_says_little() -> None:
    assert lacking(Rate(40, 20), but=1) < 1.1


def test_a_long_id_stands_somewhere_by_accident_less_often_than_a_short_one() -> None:
    found = [accident(token, None) for token in (b"7", b"712", b"71205", b"9f1c22aa01b7d3e4")]
    assert found == sorted(found, reverse=True)
    assert accident(b"spring", None) > found[-1]


def test_what_stands_in_other_answers_too_tells_nothing() -> None:
    assert accident(b"71205", None, standing=4, texts=4) > 0.5


def test_where_responses_name_other_things_a_popular_one_tells_less() -> None:
    aliases = Rate(40, 20, distinct=30)
    assert accident(b"71205", aliases, share=0.5) > accident(b"71205", aliases, share=0.01)
