from pathlib import Path

import pytest
import torch
from transformers import GraniteConfig, GraniteForCausalLM

from fakes import ARCHITECTURES, EOS_ID, PAD_ID, tiny_lm, tiny_reward_model
from heed.config import ModelConfig
from heed.errors import ConfigError, ModelError
from heed.models.loading import build_causal_lm, load_causal_lm


def build(**settings: object) -> torch.nn.Module:
    config = ModelConfig(hidden_size=16, num_heads=2, context=32, **settings)  # type: ignore[arg-type]
    return build_causal_lm(config, eos_id=EOS_ID, pad_id=PAD_ID, vocab_size=50, seed=3)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_new_model_has_the_sizes_asked_for_and_tied_embeddings_and_no_dropout(architecture: str) -> None:
    model = tiny_lm(architecture, hidden_size=32, num_layers=3, num_heads=4, vocab_size=77)
    assert (model.config.hidden_size, model.config.num_hidden_layers, model.config.vocab_size) == (32, 3, 77)
    assert (model.config.eos_token_id, model.config.pad_token_id) == (EOS_ID, PAD_ID)
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert all(module.p == 0 for module in model.modules() if isinstance(module, torch.nn.Dropout))
    ids = torch.arange(20)[None]
    torch.testing.assert_close(model.train()(ids).logits, model.eval()(ids).logits, rtol=0, atol=0)


def test_weights_depend_on_the_seed_alone_and_leave_the_global_generator_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    first = build().state_dict()
    assert torch.equal(torch.rand(3), expected)
    second = build().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_new_model_starts_near_the_uniform_distribution() -> None:
    logprobs = build()(torch.arange(20)[None]).logits.log_softmax(dim=-1)
    assert logprobs.mean().item() == pytest.approx(-torch.tensor(50.0).log().item(), abs=0.05)


def test_sizes_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"hidden_size is 16 and model.num_heads is 3"):
        build_causal_lm(ModelConfig(hidden_size=16, num_heads=3), eos_id=0, pad_id=1, vocab_size=9, seed=0)
    with pytest.raises(ModelError, match="same token"):
        build_causal_lm(ModelConfig(), eos_id=0, pad_id=0, vocab_size=9, seed=0)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_plain_hugging_face_directory_loads(architecture: str, tmp_path: Path) -> None:
    model = tiny_lm(architecture)
    model.save_pretrained(tmp_path)
    ids = torch.arange(20)[None]
    torch.testing.assert_close(load_causal_lm(tmp_path)(ids).logits, model(ids).logits, rtol=0, atol=0)
    assert load_causal_lm(tmp_path, dtype=torch.bfloat16).dtype == torch.bfloat16


def test_dropout_of_a_loaded_model_is_off(tmp_path: Path) -> None:
    model = tiny_lm("gpt2")
    model.config.resid_pdrop = model.config.embd_pdrop = model.config.attn_pdrop = 0.5
    model.save_pretrained(tmp_path)
    loaded, ids = load_causal_lm(tmp_path).train(), torch.arange(20)[None]
    torch.testing.assert_close(loaded(ids).logits, model(ids).logits, rtol=0, atol=0)


def test_what_is_not_a_model_directory_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no such directory"):
        load_causal_lm(tmp_path / "absent")
    with pytest.raises(ModelError, match=r"no config\.json"):
        load_causal_lm(tmp_path)
    tiny_lm().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"cannot load the model.*safetensors"):
        load_causal_lm(tmp_path)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    tiny_lm().save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    whole = weights.read_bytes()
    for length in (0, 5, 500, len(whole) - 1000):
        weights.write_bytes(whole[:length])
        with pytest.raises(ModelError, match="damaged or cut short"):
            load_causal_lm(tmp_path)
    weights.write_bytes(whole)
    (tmp_path / "config.json").write_text('{"model_type": "llama", ')
    with pytest.raises(ModelError, match=r"cannot load the model.*config\.json"):
        load_causal_lm(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "nonsense"}')
    with pytest.raises(ModelError, match="nonsense"):
        load_causal_lm(tmp_path)


def test_weights_of_another_size_or_missing_ones_are_refused(tmp_path: Path) -> None:
    tiny_lm(num_layers=1).save_pretrained(tmp_path / "shallow")
    tiny_lm(num_layers=2).save_pretrained(tmp_path / "deep")
    (tmp_path / "deep" / "model.safetensors").write_bytes((tmp_path / "shallow" / "model.safetensors").read_bytes())
    with pytest.raises(ModelError, match=r"9 weights are missing, such as 'model\.layers\.1"):
        load_causal_lm(tmp_path / "deep")
    tiny_lm(hidden_size=32).save_pretrained(tmp_path / "wide")
    (tmp_path / "wide" / "model.safetensors").write_bytes((tmp_path / "deep" / "model.safetensors").read_bytes())
    with pytest.raises(ModelError):
        load_causal_lm(tmp_path / "wide")


def test_models_that_answer_groups_cannot_run_are_refused(tmp_path: Path) -> None:
    model = tiny_lm("qwen3")
    model.config.layer_types = ["full_attention", "sliding_attention"]
    model.config.use_sliding_window, model.config.sliding_window = True, 4
    model.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="only full attention"):
        load_causal_lm(tmp_path)


def test_models_that_change_their_logits_after_the_output_embedding_are_refused(tmp_path: Path) -> None:
    config = GraniteConfig(
        vocab_size=50,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        logits_scaling=4.0,
    )
    GraniteForCausalLM(config).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="changes its logits after the output embedding"):
        load_causal_lm(tmp_path)


def test_a_reward_model_is_not_taken_for_a_language_model(tmp_path: Path) -> None:
    tiny_reward_model().classifier.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="LlamaForSequenceClassification, expected a causal language model"):
        load_causal_lm(tmp_path)


def test_a_model_too_small_for_its_tokenizer_or_context_is_refused(tmp_path: Path) -> None:
    tiny_lm("gpt2", vocab_size=50, context=32).save_pretrained(tmp_path)
    load_causal_lm(tmp_path, vocab_size=50, context=32)
    with pytest.raises(ModelError, match="tokenizer has 51 tokens and the model embeddings for 50"):
        load_causal_lm(tmp_path, vocab_size=51)
    with pytest.raises(ModelError, match=r"at most 32 tokens and model\.context is 33; try --set model\.context=32"):
        load_causal_lm(tmp_path, context=33)
