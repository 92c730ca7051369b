"""Tokenizers: exact, deterministic, never PAD = EOS, readable by transformers."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, LlamaConfig

from heed.data.tokenizer import (
    EOS_TOKEN,
    PAD_TOKEN,
    ROLES_TEMPLATE,
    SMALLEST_VOCABULARY,
    end_token_id,
    load_tokenizer,
    pad_token_id,
    save_tokenizer,
    train_tokenizer,
)
from heed.errors import ConfigError, TokenizerError

TEXTS = ["Tom put the cup at the park.\nThe cup is red.\n\nThe dog is at home.", "Where is the cup? The park."] * 5
LINED = train_tokenizer(TEXTS, 330, line_prefix_space=True)
PLAIN = train_tokenizer(TEXTS, 330)


def test_special_tokens_come_first_and_pad_is_not_eos():
    assert (end_token_id(LINED), pad_token_id(LINED)) == (0, 1)
    assert LINED.convert_ids_to_tokens([0, 1]) == [EOS_TOKEN, PAD_TOKEN]
    assert len(LINED) <= 330


def test_training_is_deterministic():
    assert train_tokenizer(TEXTS, 330).get_vocab() == PLAIN.get_vocab()


def test_a_word_is_one_token_wherever_it_stands():
    ids = LINED("The cup\nThe cup", add_special_tokens=False)["input_ids"]
    the, cup, newline = ids[:3]
    assert ids == [the, cup, newline, the, cup]
    assert LINED("cup")["input_ids"] == [cup]
    assert PLAIN("The cup\nThe", add_special_tokens=False)["input_ids"][:1] != PLAIN(" The")["input_ids"]


@pytest.mark.parametrize("tokenizer", [LINED, PLAIN], ids=["line_prefix_space", "plain"])
@settings(max_examples=150, deadline=None)
@given(text=st.text() | st.text(alphabet=" \nab\r\t.", max_size=12))
def test_decoding_gives_the_text_back(tokenizer, text):
    ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert tokenizer.decode(ids) == text


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="ab \n.", min_size=1), st.from_regex(r"[ab. ]*[ab.]", fullmatch=True))
def test_a_prompt_line_is_encoded_alike_with_and_without_its_answer(prompt, answer):
    def encode(text):
        return LINED(text, add_special_tokens=False)["input_ids"]

    if not answer.startswith(" "):
        assert encode(prompt + "\n") + encode(answer) == encode(prompt + "\n" + answer)


def test_saved_and_loaded_also_beside_a_model_configuration(tmp_path):
    tokenizer = train_tokenizer(TEXTS, 330, line_prefix_space=True, chat_template=ROLES_TEMPLATE)
    save_tokenizer(tokenizer, tmp_path)
    LlamaConfig().save_pretrained(tmp_path)
    for loaded in (load_tokenizer(tmp_path), AutoTokenizer.from_pretrained(tmp_path)):
        text = "The cup\n\n <|user|>  é"
        assert loaded(text)["input_ids"] == tokenizer(text)["input_ids"]
        assert loaded.decode(loaded("The cup\n x")["input_ids"]) == "The cup\n x"
        assert loaded.chat_template == ROLES_TEMPLATE
        assert (loaded.eos_token, loaded.pad_token) == (EOS_TOKEN, PAD_TOKEN)


def test_a_tokenizer_without_eos_is_refused(tmp_path):
    tokenizer = train_tokenizer(TEXTS, 330)
    tokenizer.eos_token = None
    save_tokenizer(tokenizer, tmp_path)
    with pytest.raises(TokenizerError, match="has no end-of-sequence token, so that no answer could ever end; set one"):
        load_tokenizer(tmp_path)


def test_where_there_is_no_tokenizer_the_message_says_what_was_expected(tmp_path):
    with pytest.raises(TokenizerError, match="no tokenizer can be loaded from here"):
        load_tokenizer(tmp_path / "nothing")


def test_pad_is_found_even_where_the_tokenizer_uses_eos():
    tokenizer = train_tokenizer(TEXTS, 330)
    tokenizer.pad_token = EOS_TOKEN
    assert pad_token_id(tokenizer) == 1
    tokenizer.pad_token = None
    assert pad_token_id(tokenizer) == 1


def test_a_vocabulary_without_room_for_the_bytes_is_refused():
    with pytest.raises(ConfigError, match=f"vocab_size is 100, expected at least {SMALLEST_VOCABULARY}"):
        train_tokenizer(TEXTS, 100)
    assert len(train_tokenizer([], SMALLEST_VOCABULARY)) == SMALLEST_VOCABULARY
