"""LLaDA's architecture at a small size, and checkpoints laid out like published ones."""
import json
import math
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from tokenizer import CHAT_TEMPLATE

CONFIG = dict(d_model=256, n_layers=6, n_heads=8, mlp_hidden_size=768, embedding_size=576, rope_theta=10000.0,
              rms_norm_eps=1e-5, max_sequence_length=1024)


class RMSNorm(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x):
        y = x.float()
        y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + CONFIG["rms_norm_eps"])
        return self.weight * y.to(x.dtype)


def rotate(x, sin, cos):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat([-b, a], -1) * sin


def attend(q, k, v, mask=None):
    """Attention over [batch, length, heads, size]; in float32, whose backward pass is twice as fast on a CPU."""
    with torch.autocast("cpu", enabled=False):
        q, k, v = (y.float().transpose(1, 2) for y in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        d, m = CONFIG["d_model"], CONFIG["mlp_hidden_size"]
        linear = lambda i, o: nn.Linear(i, o, bias=False)
        self.q_proj, self.k_proj, self.v_proj, self.attn_out = linear(d, d), linear(d, d), linear(d, d), linear(d, d)
        self.ff_proj, self.up_proj, self.ff_out = linear(d, m), linear(d, m), linear(m, d)
        self.attn_norm, self.ff_norm = RMSNorm(d), RMSNorm(d)

    def project(self, x, sin, cos):
        """Queries, keys and values, each with its heads apart: [..., heads, size]."""
        h = self.attn_norm(x)
        heads = lambda y: y.unflatten(-1, (CONFIG["n_heads"], -1))
        sin, cos = sin[..., None, :], cos[..., None, :]
        return rotate(heads(self.q_proj(h)), sin, cos), rotate(heads(self.k_proj(h)), sin, cos), heads(self.v_proj(h))

    def finish(self, x, attended):
        """What follows attention: its output, the feed-forward, and the residuals."""
        x = x + self.attn_out(attended.flatten(-2))
        h = self.ff_norm(x)
        return x + self.ff_out(F.silu(self.ff_proj(h)) * self.up_proj(h))

    def forward(self, x, sin, cos):
        return self.finish(x, attend(*self.project(x, sin, cos)))


class LLaDA(nn.Module):
    """LLaDA's architecture with LLaDA's parameter names."""

    def __init__(self):
        super().__init__()
        self.wte = nn.Embedding(CONFIG["embedding_size"], CONFIG["d_model"])
        self.blocks = nn.ModuleList(Block() for _ in range(CONFIG["n_layers"]))
        self.ln_f = RMSNorm(CONFIG["d_model"])
        self.ff_out = nn.Linear(CONFIG["d_model"], CONFIG["embedding_size"], bias=False)
        self.initialise()
        size = CONFIG["d_model"] // CONFIG["n_heads"]
        inverse = 1 / CONFIG["rope_theta"] ** (torch.arange(0, size, 2).float() / size)
        angle = torch.outer(torch.arange(CONFIG["max_sequence_length"]).float(), inverse).repeat(1, 2)
        self.register_buffer("sin", angle.sin(), persistent=False)
        self.register_buffer("cos", angle.cos(), persistent=False)

    def initialise(self):
        """Unit gain at this small width (0.02, usual at 4096, leaves attention flat for thousands of steps)."""
        for name, p in self.named_parameters():
            if p.dim() != 2:
                continue
            std = 0.02 if name == "ff_out.weight" else 0.5 if "wte" in name else p.shape[1] ** -0.5
            nn.init.normal_(p, std=std / math.sqrt(2 * CONFIG["n_layers"]) if name.startswith("blocks") and "out" in name else std)

    def trunk(self, ids):
        x, length = self.wte(ids), ids.shape[1]
        sin, cos = self.sin[:length].to(x.dtype), self.cos[:length].to(x.dtype)
        for block in self.blocks:
            x = block(x, sin, cos)
        return self.ln_f(x)

    def forward(self, ids, rows=None):
        with torch.autocast("cpu", torch.bfloat16, enabled=self.training):
            x = self.trunk(ids)
        return self.ff_out(x if rows is None else x[rows])


def read_weights(folder):
    weights = load_file(Path(folder) / "model.safetensors")
    return {k.removeprefix("model.transformer."): v.float() for k, v in weights.items()}


def save(state, tokenizer, out):
    """The folder a published LLaDA checkpoint has: config, safetensors, tokenizer, generation config."""
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    ids = {name: tokenizer.token_to_id(f"<|{name}|>") for name in ("startoftext", "endoftext", "mdm_mask")}
    weights = {"model.transformer." + k: v.to(torch.bfloat16).contiguous() for k, v in state.items()}
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    config = dict(
        architectures=["LLaDAModelLM"], model_type="llada", block_type="llama", activation_type="silu", layer_norm_type="rms",
        alibi=False, attention_layer_norm=False, include_bias=False, include_qkv_bias=False, input_emb_norm=False, scale_logits=False,
        weight_tying=False, rope=True, rope_full_precision=True, n_kv_heads=CONFIG["n_heads"], vocab_size=CONFIG["embedding_size"],
        torch_dtype="bfloat16", mask_token_id=ids["mdm_mask"], eos_token_id=ids["endoftext"], pad_token_id=ids["endoftext"], **CONFIG)
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    tokenizer.save(str(out / "tokenizer.json"))
    (out / "tokenizer_config.json").write_text(json.dumps(dict(
        tokenizer_class="PreTrainedTokenizerFast", bos_token="<|startoftext|>", eos_token="<|endoftext|>", pad_token="<|endoftext|>",
        add_bos_token=False, add_eos_token=False, clean_up_tokenization_spaces=False, chat_template=CHAT_TEMPLATE,
        model_max_length=CONFIG["max_sequence_length"]), indent=2) + "\n")
    (out / "generation_config.json").write_text(
        json.dumps(dict(bos_token_id=ids["startoftext"], eos_token_id=ids["endoftext"]), indent=2) + "\n")
