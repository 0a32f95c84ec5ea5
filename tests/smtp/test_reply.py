"""Rendering of replies. RFC 5321 §4.2."""

from mox.smtp.reply import Reply


def test_several_lines_repeat_the_enhanced_code() -> None:
    assert Reply(550, "5.1.1", "one\ntwo").render() == b"550-5.1.1 one\r\n550 5.1.1 two\r\n"
    assert Reply(250, "", "ok").render() == b"250 ok\r\n"


def test_long_lines_are_cut_at_a_late_blank() -> None:
    text = "x" * 395 + " " + "y" * 50 + " " + "z" * 200
    first, second = Reply(550, "5.1.1", text).render().removesuffix(b"\r\n").split(b"\r\n")
    assert first == b"550-5.1.1 " + text[:446].encode()
    assert second == b"550 5.1.1 " + text[446:].encode()


def test_lines_without_blanks_are_cut_between_characters() -> None:
    lines = Reply(550, "5.1.1", "ö" * 600).render().removesuffix(b"\r\n").split(b"\r\n")
    assert all(len(line) <= 510 and line.decode() for line in lines)
    assert sum(len(line) - 10 for line in lines) == 1200


def test_only_refusals_carry_the_id() -> None:
    assert Reply(450, "4.2.1", "no").tagged("ID").text == "no (ID)"
    assert Reply(450, "4.2.1", "no").tagged("").text == "no"
