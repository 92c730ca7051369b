"""Files as people have them: compressed, cut off, damaged, of other kinds; each error with its line and exact words."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heed.data.lines import parse_row, read_document, read_lines, read_rows, to_line, write_lines, write_rows
from heed.data.readers import read
from heed.errors import DataError

ROWS = [{"a": 1}, {"a": "é\u2028ö"}, {"a": None}]


def said(call):
    with pytest.raises(DataError) as caught:
        list(call())
    return str(caught.value)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", "rows.parquet"])
def test_rows_come_back(tmp_path, name):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    rows = [{"a": "1"}, {"a": "é\u2028ö"}, {"a": None}]
    assert write_rows(tmp_path / name, iter(rows)) == 3
    read_back = list(read_rows(tmp_path / name))
    assert [row.value for row in read_back] == rows
    assert read_back[1].where == f"{tmp_path / name}, {'row' if name.endswith('parquet') else 'line'} 2"


def test_the_same_rows_are_the_same_bytes_compressed_too(tmp_path):
    for name in ("one.jsonl.gz", "two.jsonl.gz"):
        write_rows(tmp_path / name, ROWS)
    assert (tmp_path / "one.jsonl.gz").read_bytes() == (tmp_path / "two.jsonl.gz").read_bytes()


def test_compression_is_known_by_content_too(tmp_path):
    (tmp_path / "rows.jsonl").write_bytes(gzip.compress(b'{"a": 1}\n'))
    assert [row.value for row in read_rows(tmp_path / "rows.jsonl")] == [{"a": 1}]


def test_arrays_are_read_with_line_and_item(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text('\n[\n  {"a": 1},\n  {"a":\n 2} ,{"a": 3}\n]\n')
    assert [row.value for row in read_rows(path)] == [{"a": 1}, {"a": 2}, {"a": 3}]
    assert [row.where.rpartition("json, ")[2] for row in read_rows(path)] == [
        "line 3, item 1",
        "line 4, item 2",
        "line 5, item 3",
    ]
    path.write_text('[{"a": 1} {"a": 2}]')
    assert said(lambda: read_rows(path)) == f"{path}, line 1, item 1: not valid JSON (expected ',' or ']' after it)"
    path.write_text('[{"a": 1},\n{"a" 2}]')
    assert said(lambda: read_rows(path)) == f"{path}, line 2, item 2: not valid JSON (Expecting ':' delimiter)"
    path.write_text('[{"a": 1},\n')
    assert "line 1, item 2: not valid JSON (Expecting value)" in said(lambda: read_rows(path))
    path.write_text("[1]")
    assert said(lambda: read_rows(path)) == f"{path}, line 1, item 1: expected a JSON object, got 1"
    path.write_text("[] {}")
    assert "more text after the end of the JSON array" in said(lambda: read_rows(path))
    path.write_text("[]")
    assert list(read_rows(path)) == []


def test_a_directory_is_read_in_the_order_of_names(tmp_path):
    write_rows(tmp_path / "b.jsonl", [{"a": 2}])
    write_rows(tmp_path / "a.jsonl.gz", [{"a": 1}])
    (tmp_path / "README.md").write_text("not data")
    (tmp_path / "dataset_info.json").write_text("{}")
    assert [row.value for row in read_rows(tmp_path)] == [{"a": 1}, {"a": 2}]
    (tmp_path / "empty").mkdir()
    assert "no data files in this directory, expected .jsonl" in said(lambda: read_rows(tmp_path / "empty"))


def test_what_datasets_saves_is_read(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.Table.from_pylist([{"text": "one"}, {"text": "two"}])
    path = tmp_path / "data-00000-of-00001.arrow"
    with pyarrow.OSFile(str(path), "wb") as file, pyarrow.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    (tmp_path / "state.json").write_text("{}")
    assert list(read("datasets", tmp_path)) == ["one", "two"]
    path.write_bytes(b"nonsense")
    assert said(lambda: read("datasets", tmp_path)).startswith(f"{path}: not a readable arrow file (")
    (tmp_path / "x.parquet").write_bytes(b"nonsense")
    assert "x.parquet: not a readable parquet file (" in said(lambda: read_rows(tmp_path / "x.parquet"))
    assert said(lambda: read_rows(tmp_path / "y.parquet")).endswith("y.parquet: no such file")


def test_a_truncated_gzip_says_at_which_line_it_is_cut_off(tmp_path):
    path = tmp_path / "pairs.jsonl.gz"
    lines = "".join(json.dumps({"chosen": f"line {n} {n**50}"}) + "\n" for n in range(3000))
    path.write_bytes(gzip.compress(lines.encode())[:-2000])
    message = said(lambda: read_rows(path))
    line = int(message.partition(", line ")[2].partition(":")[0])
    assert message == f"{path}, line {line}: the gzip file is cut off here; copy or download it again"
    assert 1 < line < 3000
    path.write_bytes(b"")
    assert said(lambda: read_rows(path)) == f"{path}, line 1: the gzip file is cut off here; copy or download it again"


def test_a_damaged_gzip_is_told_from_a_truncated_one(tmp_path):
    path = tmp_path / "pairs.jsonl.gz"
    whole = bytearray(gzip.compress(b'{"a": 1}\n' * 1000))
    whole[-6] ^= 0xFF  # the checksum
    path.write_bytes(bytes(whole))
    assert "the gzip file is damaged (CRC check failed" in said(lambda: read_rows(path))
    path.write_bytes(b"plain text under a wrong name\n")
    assert said(lambda: read_lines(path)).startswith(f"{path}, line 1: the gzip file is damaged (Not a gzipped file")


def test_invalid_utf8_says_line_and_byte(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": "caf\xe9"}\n')
    assert said(lambda: read_rows(path)) == (
        f"{path}, line 2: not valid UTF-8, byte 11 of the line is 0xe9; expected UTF-8 text"
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"a": 1', "not valid JSON (Expecting ',' delimiter: column 8)"),
        ("3", "expected a JSON object, got 3"),
        ('"text"', 'expected a JSON object, got "text"'),
        ('{"a": "\\ud800"}', "half of a surrogate pair (\\ud800 to \\udfff) is not valid Unicode"),
        ("{" * 3, "not valid JSON (Expecting property name enclosed in double quotes: column 2)"),
    ],
)
def test_bad_json_says_line_and_column(tmp_path, line, message):
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"a": 1}}\n\n{line}\n')
    assert said(lambda: read_rows(path)) == f"{path}, line 3: {message}"


def test_json_too_deep_or_numbers_too_long_are_errors_of_the_line():
    assert "not valid JSON" in said(lambda: [parse_row('{"a": ' * 100_000, "f, line 1")])
    assert "not valid JSON (Exceeds the limit" in said(lambda: [parse_row('{"a": ' + "9" * 5000 + "}", "f, line 1")])


def test_surrogate_pairs_are_fine():
    assert parse_row('{"a": "\\ud83d\\ude00"}', "f").value == {"a": "\U0001f600"}


def test_missing_files_say_so(tmp_path):
    assert said(lambda: read_lines(tmp_path / "no.txt")) == f"{tmp_path / 'no.txt'}: no such file"
    assert "cannot be read (Is a directory)" in said(lambda: read_lines(tmp_path))


def test_byte_order_mark_and_windows_line_ends_are_no_part_of_the_text(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\n")
    assert [line.text for line in read_lines(path)] == ["one", "two"]


def test_fields_that_are_missing_or_wrong_are_named():
    row = parse_row(
        '{"instructoin": "x", "n": true, "texts": ["a", 1], "rows": [{}, 2], "nil": null}', "f.jsonl, line 7"
    )
    cases = {
        lambda: row.text("instruction"): "field 'instruction' is missing; there are 'instructoin', 'n', 'texts', "
        "'rows', 'nil'. Did you mean 'instructoin'?",
        lambda: row.text("nil"): "field 'nil' is null.",
        lambda: row.text("n"): "field 'n' is true, expected text",
        lambda: row.integer("n"): "field 'n' is true, expected a whole number",
        lambda: row.items("n"): "field 'n' is true, expected a list",
        lambda: row.texts("texts"): "field 'texts' holds 1, expected text",
        lambda: row.rows("rows"): "rows[1] is 2, expected an object",
        lambda: row.row("texts"): "field 'texts' is [\"a\", 1], expected an object",
    }
    for call, message in cases.items():
        assert said(lambda call=call: [call()]) == f"f.jsonl, line 7: {message}"


def test_an_unknown_format_is_refused_with_the_nearest():
    assert said(lambda: read("hh-rlfh", "x")).endswith("Did you mean 'hh-rlhf'?")


def test_a_document_is_one_object(tmp_path):
    path = tmp_path / "task.json"
    path.write_text('{\n"a":\n1}')
    assert read_document(path).value == {"a": 1}
    path.write_text('{\n"a":\n1]')
    assert said(lambda: [read_document(path)]) == f"{path}, line 3: not valid JSON (Expecting ',' delimiter: column 2)"
    path.write_text('{"a": ' + "9" * 5000 + "}")
    assert "not valid JSON" in said(lambda: [read_document(path)])


def test_what_cannot_be_written_is_refused_and_nothing_is_left(tmp_path):
    path = tmp_path / "rows.jsonl"
    assert "NaN and infinity" in said(lambda: [to_line({"a": float("nan")})])
    assert "line 2: a lone surrogate" in said(lambda: [write_lines(path, ["fine", "\ud800"])])
    assert list(tmp_path.iterdir()) == []


@given(st.binary(max_size=200))
def test_any_bytes_give_rows_or_a_data_error(tmp_path_factory, data):
    for name in ("x.jsonl", "x.jsonl.gz"):
        path = tmp_path_factory.getbasetemp() / name
        path.write_bytes(data)
        try:
            for row in read_rows(path):
                assert isinstance(row.value, dict)
        except DataError as error:
            assert str(path) in str(error)
