"""What the tests of data formats share: small files, and what a reader said of them."""

import json
from pathlib import Path

import pytest

from heed.data.readers import read
from heed.errors import DataError
from heed.records import Message


def lines(tmp_path, *values, name="data.jsonl"):
    path = tmp_path / name
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    return path


def said(format, path):
    with pytest.raises(DataError) as caught:
        list(read(format, path))
    return str(caught.value).replace(f"{path}", Path(path).name)


def turns(*contents):
    return tuple(
        Message(role="assistant" if index % 2 else "user", content=content) for index, content in enumerate(contents)
    )


def user(content):
    return {"role": "user", "content": content}


def assistant(content):
    return {"role": "assistant", "content": content}
