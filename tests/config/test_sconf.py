"""The file format (spec/config.md section 2)."""

from datetime import timedelta
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from mox.config import sconf, sconf_write
from mox.config.sconf import SconfError
from mox.config.sconf_write import Mode


class Inner(Struct, frozen=True, kw_only=True):
    Name: Annotated[str, "A name."]
    Number: int = 0


class File(Struct, frozen=True, kw_only=True):
    Text: Annotated[str, "First paragraph.\n\nSecond paragraph."] = ""
    Yes: bool = False
    Float: float = 0.0
    Time: timedelta = timedelta()
    Maybe: bool | None = None
    Names: list[str] = []
    Items: list[Inner] = []
    Block: Inner | None = None
    Map: dict[str, Inner] = {}
    Words: dict[str, str] = {}


class Needs(Struct, frozen=True, kw_only=True):
    Names: list[str]
    Map: dict[str, Inner]
    Last: str


def read(text: str) -> File:
    return sconf.parse(File, text, "f.conf")


@pytest.mark.holds("config-cc6e03")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", File(), id="empty file"),
        pytest.param("Text: a", File(Text="a"), id="no newline at the end"),
        pytest.param("Text: a: b # c\n", File(Text="a: b # c"), id="colon and number sign in a value"),
        pytest.param("Text:  a \t\n", File(Text=" a \t"), id="white space of a value is kept"),
        pytest.param("Text:\nYes: true\n", File(Yes=True), id="empty value"),
        pytest.param("\n# comment\nYes: true\n\t # at any indent\n", File(Yes=True), id="comments and empty lines"),
        pytest.param("Map:\n\ta b@c: nil\n", File(Map={"a b@c": Inner(Name="")}), id="nil is the zero value"),
        pytest.param("Words:\n\ta: nil\n", File(Words={"a": ""}), id="nil in a map of strings"),
        pytest.param(
            "Items:\n\t-\n\t\tName: a\n\t# between\n\t-\n\t\tName: b\n\t\tNumber: -3\n",
            File(Items=[Inner(Name="a"), Inner(Name="b", Number=-3)]),
            id="list of structs",
        ),
        pytest.param("Names:\n\t- a\n#x\n\t- \n\t- -\n", File(Names=["a", "", "-"]), id="list of strings"),
        pytest.param("Names:\n\t-\n", File(Names=[""]), id="bare dash in a list of strings"),
        pytest.param("Maybe: false\n", File(Maybe=False), id="pointer to false"),
        pytest.param("Time: 1h30m\n", File(Time=timedelta(minutes=90)), id="duration"),
        pytest.param("Float: -1.5e1\n", File(Float=-15.0), id="float"),
    ],
)
def test_reading(text: str, expected: File) -> None:
    assert read(text) == expected


@pytest.mark.holds("config-cc6e03")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("Nope: a\n", "f.conf:1: unknown key 'Nope'", id="unknown key"),
        pytest.param("Yes: true\n \n", "f.conf:2: missing colon; the line has only white space", id="white space"),
        pytest.param("Yes: true\n\t\n", "f.conf:2: missing colon; the line has only white space", id="lone tab"),
        pytest.param("Names:\n\t- a\n\t\n", "f.conf:3: expected item", id="lone tab in a list"),
        pytest.param("Text\n", "f.conf:1: missing colon", id="no colon"),
        pytest.param(": a\n", "f.conf:1: empty key", id="empty key"),
        pytest.param("Text:a\n", "f.conf:1: missing space after colon", id="no space"),
        pytest.param("Yes: true\r\nText: a\r\n", "f.conf:1: the line ends in a carriage return", id="CRLF"),
        pytest.param("Yes: true\n\nYes: true\n", "f.conf:3: duplicate key 'Yes'", id="duplicate key"),
        pytest.param("Map:\n\ta: nil\n\ta: nil\n", "f.conf:3: duplicate key 'a'", id="duplicate map key"),
        pytest.param("Block:\n    Name: a\n", "f.conf:1: expected indented lines", id="spaces for a tab"),
        pytest.param("Block:\n\tNumber: 1\nYes: true\n", "f.conf:1: missing required key 'Name'", id="missing key"),
        pytest.param("Block:\n\t\tName: a\n", "f.conf:2: unknown key '\\tName': it has white space", id="too deep"),
        pytest.param(" Yes: true\n", "f.conf:1: unknown key ' Yes': it has white space", id="indented key"),
        pytest.param("Names:\nYes: true\n", "f.conf:1: expected indented lines", id="empty list"),
        pytest.param("Names: a\n", "f.conf:1: the value starts on the next line", id="block value on the line"),
        pytest.param("Names:\n\t-a\n", "f.conf:2: expected item", id="item without space"),
        pytest.param("Yes: True\n", "f.conf:1: 'True' is not true or false", id="bool"),
        pytest.param("Yes:\n", "f.conf:1: '' is not true or false", id="empty bool"),
        pytest.param("Time: 3d\n", "f.conf:1: '3d' is not a duration", id="unit of duration"),
        pytest.param("Float: x\n", "f.conf:1: 'x' is not a number", id="float"),
        pytest.param("Block:\n\tName: a\n\tNumber: 9223372036854775808\n", "f.conf:3: '92233720368", id="65 bits"),
        pytest.param("Block:\n\tName: a\n\tNumber: 1_0\n", "f.conf:3: '1_0' is not a whole number", id="underscore"),
    ],
)
def test_errors_name_file_and_line(text: str, message: str) -> None:
    with pytest.raises(SconfError) as caught:
        read(text)
    assert str(caught.value).startswith(message)


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(SconfError) as caught:
        read("Yes: maybe\nBlock:\n\tNumber: x\nNope:\n\tdeeper: 1\n\t\tand: 2\nText: fine\nFloat: y\n")
    lines = [line.partition(": ")[0] for line in str(caught.value).split("\n")]
    assert lines == ["f.conf:1", "f.conf:3", "f.conf:2", "f.conf:4", "f.conf:8"]


def test_required_values_that_are_empty_are_written_so_that_they_read_back() -> None:
    empty = Needs(Names=[], Map={}, Last="")
    text = sconf_write.dump(empty)
    assert text == "Names: nil\nMap: nil\nLast: \n"
    assert sconf.parse(Needs, text, "f") == empty


@pytest.mark.holds("config-24dc03")
def test_writing_sorts_maps_and_normalizes_values() -> None:
    value = File(
        Float=0.95, Time=timedelta(hours=72), Map={"b": Inner(Name="x"), "B": Inner(Name="y"), "a": Inner(Name="")}
    )
    assert sconf_write.dump(value).split("\n")[:4] == ["Float: 0.950000", "Time: 72h0m0s", "Map:", "\tB:"]
    assert sconf.parse(File, sconf_write.dump(value), "f") == value


def test_pointer_to_false_and_small_floats_survive_writing() -> None:
    value = File(Maybe=False, Float=1e-9)
    assert sconf.parse(File, sconf_write.dump(value), "f") == value


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(File(Text="a\nb"), id="line break"),
        pytest.param(File(Text="a\r"), id="carriage return"),
        pytest.param(File(Words={"a:b": ""}), id="colon in a key"),
        pytest.param(File(Words={"": "x"}), id="empty key"),
        pytest.param(File(Words={"#a": "x"}), id="key like a comment"),
        pytest.param(File(Words={"a": "nil"}), id="nil as a word"),
    ],
)
def test_what_the_format_cannot_hold_is_not_written(value: File) -> None:
    with pytest.raises(SconfError):
        sconf_write.dump(value)


def test_documentation() -> None:
    text = sconf_write.dump(File(Text="x", Block=Inner(Name="n")), Mode.DOCUMENTED)
    assert text == ("# First paragraph.\n#\n# Second paragraph. (optional)\nText: x\nBlock:\n\t# A name.\n\tName: n\n")


def test_description_has_every_field() -> None:
    assert sconf_write.describe(File).count("Name: ") == 3


_TEXT = st.text(st.characters(exclude_characters="\n\r", exclude_categories=("Cs",)), max_size=8)
_KEY = _TEXT.filter(lambda t: t == t.strip() and t and ":" not in t and not t.startswith("#"))
_INNER = st.builds(Inner, Name=_TEXT, Number=st.integers(-(2**63), 2**63 - 1))
_FILE = st.builds(
    File,
    Text=_TEXT,
    Yes=st.booleans(),
    Float=st.floats(allow_nan=False, allow_infinity=False),
    Time=st.timedeltas(timedelta(days=-9), timedelta(days=9)),
    Maybe=st.none() | st.booleans(),
    Names=st.lists(_TEXT, max_size=3),
    Items=st.lists(_INNER, max_size=3),
    Block=st.none() | _INNER,
    Map=st.dictionaries(_KEY, _INNER, max_size=3),
    Words=st.dictionaries(_KEY, _TEXT.filter(lambda t: t != "nil"), max_size=3),
)


@pytest.mark.holds("config-24dc03")
@given(_FILE)
def test_what_is_written_reads_back(value: File) -> None:
    assert sconf.parse(File, sconf_write.dump(value), "f") == value


@given(_FILE, _FILE)
def test_a_merged_file_holds_the_new_value(old: File, new: File) -> None:
    assert sconf.parse(File, sconf_write.merge(sconf_write.dump(old), old, new), "f") == new


@given(st.text(alphabet="aNames: -\tText\n#nil\r", max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        read(text)
    except SconfError as err:
        assert str(err).startswith("f.conf:")


OLD = """\
# head
Text: old
# times are odd
Time: 72h
Map:
\t# about b
\tb:
\t\tName: b
\t# about a
\ta:
\t\t# number
\t\tNumber: 1
\t\tName: a
Names:
\t# first
\t- x
\t#- off
\t- y
# end
"""


@pytest.mark.parametrize(
    ("changed", "old", "new"),
    [
        pytest.param({"Text": "new"}, "Text: old", "Text: new", id="scalar"),
        pytest.param({"Names": ["x"]}, "\t#- off\n\t- y\n", "", id="item removed with its comment"),
        pytest.param({"Names": ["x", "y", "z"]}, "\t- y\n", "\t- y\n\t- z\n", id="item added"),
        pytest.param({"Yes": True}, "Text: old\n", "Text: old\nYes: true\n", id="key added in its place"),
        pytest.param(
            {"Map": {"a": Inner(Name="a", Number=2), "b": Inner(Name="b")}},
            "Number: 1",
            "Number: 2",
            id="deep inside",
        ),
        pytest.param(
            {"Map": {"a": Inner(Name="a", Number=1)}}, "\t# about b\n\tb:\n\t\tName: b\n", "", id="entry removed"
        ),
        pytest.param({"Text": ""}, "# head\nText: old\n", "", id="key removed"),
    ],
)
def test_changes_leave_the_rest_of_a_file_alone(changed: dict[str, object], old: str, new: str) -> None:
    before = read(OLD)
    values = {name: getattr(before, name) for name in before.__struct_fields__}
    assert sconf_write.merge(OLD, before, File(**{**values, **changed})) == OLD.replace(old, new)
