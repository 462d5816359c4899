"""Tables of paths and transcripts."""

from __future__ import annotations

import pytest

from recognizer.errors import ConfigError, InputError


@pytest.fixture
def images(tmp_path, picture):
    for name in ("a", "b", "c"):
        picture(tmp_path / "im" / f"{name}.png")
    return tmp_path


def test_columns_conditions_and_meta(images, read, write):
    table = write(images / "t.tsv", "image\twriter\tkind\ttext\tnote\nim/a.png\tw1\ttext\tUn \"mot\" dit\tx\n"
                                    "im/b.png\tw1\tconsent\toui\t\nim/c.png\tw2\ttext\tcafe\u0301\t\n")
    reading = read("table", table, "--source-column", "image", "--group-column", "writer", "--where", "kind=text")
    assert reading.dropped == [] and reading.notes == []
    assert [(i.id, i.text, i.group, i.meta) for i in reading.items] == [
        ("im/a", 'Un "mot" dit', "w1", {"kind": "text", "note": "x"}), ("im/c", "caf\u00e9", "w2", {"kind": "text"})]
    both = read("table", table, "--source-column", "image", "--where", "kind=text", "--where", "kind=consent", "--where", "writer=w1")
    assert [i.id for i in both.items] == ["im/a", "im/b"]


def test_default_columns_units_and_splits(images, read, write):
    table = write(images / "t.csv", '\ufeffsource,units,group,split\nim/a.png,"AH  B",s1,Validation\nim/b.png,K,s2,train\nim/c.png,Z,s3,fold2\n')
    items = read("table", table).items
    assert [(i.text, i.units, i.group, i.meta) for i in items] == [
        (None, ("AH", "B"), "s1", {"split": "dev"}), (None, ("K",), "s2", {"split": "train"}), (None, ("Z",), "s3", {"split": "fold2"})]


QUOTED = 'source\ttext\nim/a.png\t"dit ""oui"" a"\nim/b.png\tb\n'
LITERAL = 'source\ttext\nim/a.png\t"dit ""oui"" a"\nim/b.png\tun "mot\n'


@pytest.mark.parametrize(("content", "option", "text", "notes"), [
    (QUOTED, "auto", 'dit "oui" a', 1), (QUOTED, "none", '"dit ""oui"" a"', 0), (LITERAL, "auto", '"dit ""oui"" a"', 0),
    ('source\ttext\nim/a.png\t"oui"\n', "auto", '"oui"', 0), ('source\ttext\nim/a.png\t"oui"\n', "standard", "oui", 0),
])
def test_quotation_marks(images, read, write, content, option, text, notes):
    reading = read("table", write(images / "t.tsv", content), "--quoting", option)
    assert reading.items[0].text == text and len(reading.notes) == notes


def test_a_mark_never_closed(images, read, write):
    table = write(images / "t.csv", 'source,text\nim/a.png,a\nim/b.png,"b\nim/c.png,c\n')
    with pytest.raises(InputError, match=r"t\.csv:\d+: .*--quoting none"):
        read("table", table)
    assert [i.text for i in read("table", table, "--quoting", "none").items] == ["a", '"b', "c"]


def test_each_bad_row_is_named_by_its_line(images, read, write):
    table = write(images / "t.csv", 'source,text,group\n'
                  'im/a.png,"two\nlines",g\n\nim/gone.png,x,g\nim/b.png,,g\nim/b.png,b\nim/b.png,b,\n,x,g\nim/c.png,c,g\n')
    reading = read("table", table)
    assert [(i.id, i.text) for i in reading.items] == [("im/a", "two lines"), ("im/c", "c")]
    expected = [(5, "no such file"), (6, "transcript is empty"), (7, "2 columns where the first line has 3"), (8, "no group"), (9, "no such file")]
    assert len(reading.dropped) == len(expected)
    for line, (number, reason) in zip(reading.dropped, expected, strict=True):
        assert line.startswith(f"{table}:{number}: ") and reason in line


def test_delimiters(images, read, write):
    table = write(images / "t.txt", "source;text\nim/a.png;a\n")
    assert read("table", table, "--delimiter", ";").items[0].text == "a"
    tabbed = write(images / "u.txt", "source\ttext\nim/a.png\ta\n")
    assert read("table", tabbed, "--delimiter", "tab").items[0].text == "a"
    with pytest.raises(ConfigError, match="what separates its columns"):
        read("table", table)
    with pytest.raises(ConfigError, match="one character"):
        read("table", table, "--delimiter", "::")


@pytest.mark.parametrize(("words", "message"), [
    (["--text-column", "txt"], "no column 'txt'; did you mean 'text'"), (["--where", "knd=x"], "no column 'knd'; did you mean 'kind'"),
    (["--where", "kind"], "COLUMN=VALUE"), (["--split-column", "part"], "no column 'part'"),
])
def test_columns_that_are_not_there(images, read, write, words, message):
    with pytest.raises(ConfigError, match=message):
        read("table", write(images / "t.csv", "source,text,kind\nim/a.png,a,x\n"), *words)


@pytest.mark.parametrize(("header", "message"), [("image,text", "--source-column"), ("source,words", "--text-column")])
def test_roles_nobody_plays(images, read, write, header, message):
    with pytest.raises(ConfigError, match=message):
        read("table", write(images / "t.csv", f"{header}\nim/a.png,a\n"))


@pytest.mark.parametrize("content", ["", "source,text,text\n"])
def test_headers_that_do_not_name_columns(images, read, write, content):
    with pytest.raises(InputError, match="must name the columns"):
        read("table", write(images / "t.csv", content))


def test_a_value_that_never_occurs_is_remarked(images, read, write):
    reading = read("table", write(images / "t.csv", "source,text,kind\nim/a.png,a,text\n"), "--where", "kind=txt")
    assert reading.items == [] and "no row has kind=txt; did you mean 'text'" in reading.notes[0]


def test_a_folder_is_not_a_table(tmp_path, read):
    with pytest.raises(InputError, match="the table itself"):
        read("table", tmp_path)


def test_a_table_without_header_row(images, read, write):
    table = write(images / "t.tsv", "im/a.png\tun\nim/b.png\tdeux\n")
    reading = read("table", table)
    assert [(i.id, i.text, i.meta) for i in reading.items] == [("im/a", "un", {}), ("im/b", "deux", {})]
    assert len(reading.notes) == 1 and "has no header row; its columns are called 1, 2, 1 names the files and 2 is the transcript" in reading.notes[0]
    table = write(images / "t.csv", "w1,un,im/a.png\nw2,deux,im/gone.png\n")
    with pytest.raises(ConfigError, match=r"--text-column: .* no header row and 3 columns; which is the transcript\? \(1, 2, 3\)"):
        read("table", table)
    reading = read("table", table, "--text-column", "2", "--group-column", "1")
    assert [(i.id, i.text, i.group) for i in reading.items] == [("im/a", "un", "w1")] and len(reading.dropped) == 1
    assert [i.text for i in read("table", table, "--group-column", "1").items] == ["un"]


def test_metadata_of_public_data_sets(images, read, write):
    table = write(images / "metadata.jsonl", '{"file_name": "im/a.png", "transcription": "un", "age": 3}\n\n[1]\n{"file_name": "im/b.png"\n'
                  '{"file_name": "im/b.png", "transcription": null}\n{"transcription": "trois", "file_name": "im/c.png"}\n')
    reading = read("table", table)
    assert [(i.id, i.text, i.meta) for i in reading.items] == [("im/a", "un", {"age": "3"}), ("im/c", "trois", {})]
    for message, (number, reason) in zip(reading.dropped, [(3, "JSON object"), (4, "not JSON"), (5, "transcript is empty")], strict=True):
        assert message.startswith(f"{table}:{number}: ") and reason in message
    table = write(images / "metadata.csv", "file_name,sentence\nim/a.png,un\n")
    assert [(i.id, i.text) for i in read("table", table).items] == [("im/a", "un")]
