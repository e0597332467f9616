"""Train llada-tiny: masked diffusion on chat-formatted answers, saved like a published LLaDA checkpoint.

Three sorts of batches are mixed. Drill: every line starts from a number of its own, and all results are asked at once.
Decoding: answers in the middle of being decoded by the model under training, masks as its own confidence leaves them.
Uniform: LLaDA's SFT loss. Muon on the hidden matrices, AdamW on the rest, an average of the weights kept. Everything is in
float32: without AMX, bfloat16 products are half as fast on a CPU, and bfloat16 attention goes backward several times slower.
"""
import argparse
import json
import math
import random
import time
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

import tasks
from tokenizer import CHAT_TEMPLATE, prompt

CONFIG = dict(d_model=256, n_layers=6, n_heads=8, mlp_hidden_size=768, embedding_size=576, rope_theta=10000.0,
              rms_norm_eps=1e-5, max_sequence_length=1024)
EOS_FILL_WEIGHT = 0.1  # EOS beyond the answer is easy; keep it from drowning the answer


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


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        d, m = CONFIG["d_model"], CONFIG["mlp_hidden_size"]
        linear = lambda i, o: nn.Linear(i, o, bias=False)
        self.q_proj, self.k_proj, self.v_proj, self.attn_out = linear(d, d), linear(d, d), linear(d, d), linear(d, d)
        self.ff_proj, self.up_proj, self.ff_out = linear(d, m), linear(d, m), linear(m, d)
        self.attn_norm, self.ff_norm = RMSNorm(d), RMSNorm(d)

    def forward(self, x, sin, cos):
        batch, length, d = x.shape
        heads = lambda y: y.view(batch, length, CONFIG["n_heads"], -1).transpose(1, 2)
        h = self.attn_norm(x)
        q, k, v = rotate(heads(self.q_proj(h)), sin, cos), rotate(heads(self.k_proj(h)), sin, cos), heads(self.v_proj(h))
        a = F.scaled_dot_product_attention(q.to(v.dtype), k.to(v.dtype), v)
        x = x + self.attn_out(a.transpose(1, 2).reshape(batch, length, d))
        h = self.ff_norm(x)
        return x + self.ff_out(F.silu(self.ff_proj(h)) * self.up_proj(h))


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
        x = self.trunk(ids)
        return self.ff_out(x if rows is None else x[rows])


class Muon(torch.optim.Optimizer):
    """Momentum orthogonalised by five Newton-Schulz steps (Jordan et al., 2024), for hidden weight matrices.

    The weight decay matters: without it query and key weights grow until attention saturates and learning stops.
    """

    def __init__(self, params, lr, momentum=0.95, weight_decay=0.1):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            by_shape = {}
            for p in group["params"]:
                m = self.state[p].setdefault("momentum", torch.zeros_like(p))
                m.lerp_(p.grad, 1 - group["momentum"])
                by_shape.setdefault(p.shape, []).append((p, p.grad.lerp(m, group["momentum"])))
            for shape, pairs in by_shape.items():
                updates = orthogonal(torch.stack([u for _, u in pairs]))
                scale = group["lr"] * max(1, shape[0] / shape[1]) ** 0.5
                for (p, _), u in zip(pairs, updates):
                    p.mul_(1 - group["lr"] * group["weight_decay"]).add_(u.to(p.dtype), alpha=-scale)


def orthogonal(x):
    """The nearest orthogonal matrices to a stack of matrices, roughly: a quintic Newton-Schulz iteration."""
    tall = x.size(1) > x.size(2)
    x = x.mT if tall else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * (a @ a)) @ x
    return x.mT if tall else x


class Canvases:
    """Questions and answers as token ids, packed into canvases (prompt, answer, <|eot_id|>, EOS to the end) of a few lengths."""

    def __init__(self, tokenizer, seed):
        self.rng, self.tokenizer = random.Random(seed), tokenizer
        self.id = tokenizer.token_to_id
        self.eos, self.eot, self.mask = self.id("<|endoftext|>"), self.id("<|eot_id|>"), self.id("<|mdm_mask|>")
        self.digits, self.newline = {self.id(d) for d in "0123456789"}, self.id("\u010a")

    def encode(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def pair(self, task):
        """A question and its answer as token ids."""
        _, question, answer, _ = tasks.sample(self.rng, task)
        return self.encode(prompt(question)), self.encode(answer) + [self.eot]

    def pack(self, rows, length):
        ids = torch.full((len(rows), length), self.eos)
        for i, row in enumerate(rows):
            ids[i, :len(row)] = torch.tensor(row)
        return ids


class Drill(Canvases):
    """Canvases in which every line's result is asked at once.

    In a true answer each result stands again at the start of the next line, so only the last result before the masked part is a question
    and a whole forward pass teaches one sum. Here every line starts from a number of its own: results no longer leak, and a canvas
    asks all its sums, and which operand belongs to which line, together.
    """

    SHAPES = {"word_problem": [(72, 72), (128, 40)], "chain": [(128, 40), (192, 28), (320, 16)]}  # (canvas length, canvases a batch)

    def __init__(self, tokenizer, seed, long_chains):
        super().__init__(tokenizer, seed)
        self.waiting, self.long_chains = {}, long_chains

    def lines(self, task):
        """The question's ids and the answer's lines as (first operand, sign, second operand, result)."""
        if task == "chain":
            steps = self.rng.randint(4, 24) if self.rng.random() < self.long_chains else self.rng.randint(1, 10)
            question, answer, _ = tasks.chain(self.rng, steps)
        else:
            question, answer, _ = tasks.word_problem(self.rng)
        result, lines = None, []
        for line in answer.split("\n")[:-1]:
            start, sign, n = line.split()[:3]
            start, n = int(start), int(n)
            if result is not None:  # the first line keeps its number, which the question gives
                if task == "chain":
                    start = self.rng.randint(1, 50) if sign == "+" else self.rng.randint(10, 59)
                else:
                    low, high = {"*": (2, 20), "+": (1, min(60 - n, 47)), "-": (n + 1, 60)}[sign]
                    start = self.rng.randint(low, high)
            result = start + n if sign == "+" else start - n if sign == "-" else start * n
            lines.append((start, sign, n, result))
        return self.encode(prompt(question)), lines

    def sample(self, task):
        """Ids, and for each position whether it is masked and its weight in the loss."""
        rng = self.rng
        ids, lines = self.lines(task)
        masked, weight = [False] * len(ids), [0.0] * len(ids)
        cut = rng.randint(1, len(lines)) if rng.random() < 0.5 else None  # beyond the cut everything is masked, nothing is asked

        def put(text, hide, w):
            new = self.encode(text)
            ids.extend(new)
            for _ in new:
                masked.append(hide)
                weight.append(w if hide else 0.0)

        for i, (start, sign, n, result) in enumerate(lines):
            if cut is not None and i >= cut:
                put(f"{start} {sign} {n} = {result}\n", True, 0.0)
                continue
            ask = rng.random() < 0.9
            body = ask and rng.random() < 0.35  # sign and operand are asked too
            put(f"{start}", False, 0)
            if body and rng.random() < 0.5:
                put(f" {sign} {n} =", True, 1.0)
            else:
                put(f" {sign} ", body and rng.random() < 0.5, 1.0)
                put(f"{n}", body, 1.0)
                put(" =", False, 0)
            put(" ", ask and rng.random() < 0.3, 0.5)
            digits = str(result)
            which = rng.random()  # now and then one digit was committed before the other
            for j, digit in enumerate(digits):
                known = len(digits) == 2 and (which < 0.12 and j == 0 or which > 0.88 and j == 1)
                put(digit, ask and not known, 2.0)
            put("\n", ask and rng.random() < 0.5, 1.0)
        if cut is None:
            put("#### ", rng.random() < 0.3, 1.0)
            for digit in str(lines[-1][3]):
                put(digit, True, 0.5)
            ids.append(self.eot)
            masked.append(rng.random() < 0.5)
            weight.append(0.5 * masked[-1])
        else:
            put(f"#### {lines[-1][3]}", True, 0.0)
            ids.append(self.eot)
            masked.append(True)
            weight.append(0.0)
        return ids, masked, weight, cut

    def batch(self):
        while True:
            task = "word_problem" if self.rng.random() < 0.5 else "chain"
            row = self.sample(task)
            shape = next(s for s in self.SHAPES[task] if s[0] >= len(row[0]))
            waiting = self.waiting.setdefault(shape, [])
            waiting.append(row)
            if len(waiting) == shape[1]:
                self.waiting[shape] = []
                length = shape[0]
                ids = self.pack([r[0] for r in waiting], length)
                masked, weight = torch.zeros(ids.shape, dtype=torch.bool), torch.zeros(ids.shape)
                for i, (_, m, w, cut) in enumerate(waiting):
                    masked[i, :len(m)], weight[i, :len(w)] = torch.tensor(m), torch.tensor(w)
                    if cut is not None:
                        masked[i, len(m):] = True
                return ids, masked, weight


class Decoding(Canvases):
    """Canvases as the decoder itself leaves them: a pool of answers in the middle of being decoded by the model under training.

    Each step trains on some of them and commits what the model was confident of (the right token, whatever it had said),
    so masks follow the decoder's own for no extra forward pass. A finished answer makes room for a new one.
    """

    BLOCK = 32
    # task: canvas length, canvases a batch, pool
    KINDS = {"word_problem": (128, 40, 240), "chain": (320, 16, 160), "code": (128, 40, 160)}

    def __init__(self, tokenizer, seed, short_chains=0.0):
        super().__init__(tokenizer, seed)
        self.short_chains, self.pools = short_chains, {}

    def fresh(self, pool, task, i):
        question, answer = self.pair(task)
        if task == "chain" and self.rng.random() < self.short_chains:
            words, text, _ = tasks.chain(self.rng, self.rng.randint(1, 5))
            question, answer = self.encode(prompt(words)), self.encode(text) + [self.eot]
        length = pool["ids"].shape[1]
        row = question + answer
        pool["ids"][i] = self.eos
        pool["ids"][i, :len(row)] = torch.tensor(row)
        pool["masked"][i] = torch.arange(length) >= len(question)
        pool["start"][i], pool["block"][i], pool["end"][i] = len(question), len(question), len(row)
        pool["threshold"][i] = 0.9 if self.rng.random() < 0.6 else self.rng.uniform(0.6, 0.97)

    def pool(self, task):
        if task not in self.pools:
            length, _, size = self.KINDS[task]
            zero = lambda *s: torch.zeros(s, dtype=torch.long)
            pool = dict(ids=zero(size, length), masked=zero(size, length).bool(), start=zero(size), block=zero(size), end=zero(size),
                        threshold=torch.zeros(size))
            for i in range(size):
                self.fresh(pool, task, i)
                # begin anywhere in the answer, so that the pool is mixed from the start
                to = pool["start"][i] + self.rng.randint(0, max(0, int(pool["end"][i] - pool["start"][i]) - 1))
                pool["masked"][i, :to] = False
                pool["block"][i] = pool["start"][i] + (to - pool["start"][i]) // self.BLOCK * self.BLOCK
            self.pools[task] = pool
        return self.pools[task]

    def batch(self, task):
        pool = self.pool(task)
        rows = torch.randperm(len(pool["ids"]))[:self.KINDS[task][1]]
        ids, masked = pool["ids"][rows], pool["masked"][rows]
        at = torch.arange(ids.shape[1])[None]
        eligible = masked & (at >= pool["block"][rows, None]) & (at < pool["block"][rows, None] + self.BLOCK)
        # What comes soon counts in full; farther on in the block much cannot be known yet.
        rank = eligible.cumsum(1)
        weight = torch.where(rank <= 8, 1.0, 0.25) * torch.where(at < pool["end"][rows, None], 1.0, EOS_FILL_WEIGHT) * eligible
        self.last = task, rows, eligible
        return ids, masked, weight

    def advance(self, logits, asked):
        """Commit, given the logits at the asked positions."""
        task, rows, eligible = self.last
        pool = self.pools[task]
        confidence = torch.full(eligible.shape, -1.0)
        confidence[asked] = logits.softmax(-1).amax(-1)
        confidence = confidence.where(eligible, torch.tensor(-1.0))
        commit = confidence >= torch.minimum(pool["threshold"][rows, None], confidence.amax(1, keepdim=True))
        masked = pool["masked"][rows] & ~(commit & eligible)
        pool["masked"][rows] = masked
        at = torch.arange(masked.shape[1])[None]
        for j, i in enumerate(rows.tolist()):
            while not masked[j, pool["block"][i]:pool["block"][i] + self.BLOCK].any():
                pool["block"][i] += self.BLOCK
                if pool["block"][i] >= pool["end"][i]:
                    self.fresh(pool, task, i)
                    break


class Uniform(Canvases):
    """LLaDA's own masking: a share t of the answer part, loss weighted by 1 / t."""

    def __init__(self, tokenizer, seed):
        super().__init__(tokenizer, seed)
        self.waiting = {}

    def batch(self):
        while True:
            task, *_ = self.rng.choices(["word_problem", "chain", "code"], [5, 4, 3])
            question, answer = self.pair(task)
            shape = (128, 40) if len(question) + len(answer) <= 128 else (320, 16)
            waiting = self.waiting.setdefault(shape, [])
            waiting.append((question, answer))
            if len(waiting) == shape[1]:
                self.waiting[shape] = []
                ids = self.pack([q + a for q, a in waiting], shape[0])
                start, end = torch.tensor([len(q) for q, _ in waiting])[:, None], torch.tensor([len(q) + len(a) for q, a in waiting])[:, None]
                at, count = torch.arange(shape[0])[None], len(waiting)
                share = ((torch.arange(count) + torch.rand(1)) / count)[torch.randperm(count)].clamp(0.05, 1)[:, None]  # evenly spread t
                masked = (torch.rand(ids.shape) < share) & (at >= start)
                return ids, masked, torch.where(at < end, 1.0, EOS_FILL_WEIGHT) * masked * (0.25 / share)


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


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--tokenizer", default="tokenizer.json")
    args.add_argument("--out", default="llada-tiny")
    args.add_argument("--init", help="a checkpoint folder to go on from")
    args.add_argument("--init-raw", help="go on from a raw.safetensors left in a folder")
    args.add_argument("--minutes", type=float, default=1e9, help="upper bound on the time; where it is the tighter one, the rate falls with time instead of steps")
    args.add_argument("--steps", type=int, default=1000)
    args.add_argument("--hold", type=float, default=0.45, help="share of the steps at the full rate; then it falls linearly")
    args.add_argument("--lr", type=float, default=2e-3, help="AdamW's rate (embedding, head, norms)")
    args.add_argument("--muon", type=float, default=0.02, help="Muon's rate (hidden matrices)")
    args.add_argument("--drill", type=float, default=0.5, help="share of steps on drill canvases")
    args.add_argument("--uniform", type=float, default=0.06, help="share of steps on uniformly masked canvases")
    args.add_argument("--mix", default="5,4,1", help="word problems, chains, code among decoding steps")
    args.add_argument("--long-chains", type=float, default=0.5)
    args.add_argument("--short-chains", type=float, default=0.3)
    args.add_argument("--ema", type=float, default=0.995)
    args.add_argument("--threads", type=int, default=2)
    args.add_argument("--seed", type=int, default=0)
    a = args.parse_args()
    torch.manual_seed(a.seed)
    torch.set_num_threads(a.threads)
    torch.set_flush_denormal(True)
    print(vars(a), flush=True)
    tokenizer = Tokenizer.from_file(a.tokenizer)
    drill, decoding, uniform = Drill(tokenizer, a.seed + 7, a.long_chains), Decoding(tokenizer, a.seed + 8007, a.short_chains), Uniform(tokenizer, a.seed + 16007)
    mask_id, model, rng = drill.mask, LLaDA(), random.Random(a.seed)
    if a.init:
        model.load_state_dict(read_weights(a.init))
    if a.init_raw:
        model.load_state_dict(load_file(Path(a.init_raw) / "raw.safetensors"))
    average = {k: v.clone() for k, v in model.state_dict().items()}
    model.trunk = torch.compile(model.trunk, dynamic=False)
    hidden = [p for n, p in model.named_parameters() if p.dim() == 2 and "blocks" in n]
    rest = [p for n, p in model.named_parameters() if not (p.dim() == 2 and "blocks" in n)]
    adam, muon = torch.optim.AdamW(rest, lr=a.lr, betas=(0.9, 0.98), weight_decay=0), Muon(hidden, lr=a.muon)
    start, running = time.time(), {}
    mix = [float(x) for x in a.mix.split(",")]
    for step in range(1, a.steps + 1):
        done = max((step - 1) / a.steps, (time.time() - start) / 60 / a.minutes)
        if done >= 1:
            break
        rate = min(1, step / 100) * (1 if done < a.hold else max(0.02, (1 - done) / (1 - a.hold)))
        for optimizer, base in ((adam, a.lr), (muon, a.muon)):
            for group in optimizer.param_groups:
                group["lr"] = base * rate
        kind = rng.choices(["drill", "uniform", "decoding"], [a.drill, a.uniform, 1 - a.drill - a.uniform])[0]
        if kind == "decoding":
            kind, = rng.choices(["word_problem", "chain", "code"], mix)
            ids, masked, weight = decoding.batch(kind)
        else:
            ids, masked, weight = (drill if kind == "drill" else uniform).batch()
        asked = weight > 0
        logits = model(ids.masked_fill(masked, mask_id), asked)
        each = F.cross_entropy(logits, ids[asked], reduction="none")
        w = weight[asked]
        loss = (each * w).sum() / w.sum()
        adam.zero_grad(set_to_none=True)
        muon.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        muon.step()
        with torch.no_grad():
            if kind in decoding.pools:
                logits[:, mask_id] = -torch.inf
                decoding.advance(logits.detach(), asked)
            if step % 4 == 0:
                keep = min(a.ema, step / (step + 20)) ** 4
                for k, v in model.state_dict().items():
                    average[k].lerp_(v, 1 - keep)
        value = loss.item()
        running[kind] = value if kind not in running else 0.97 * running[kind] + 0.03 * value
        if step % 50 == 0:
            print(f"step {step}, {(time.time() - start) / 60:.1f} min, rate {rate:.3f}, " + ", ".join(f"{k} {v:.4f}" for k, v in sorted(running.items())), flush=True)
        if step % 250 == 0:
            checkpoint(model, average, tokenizer, a.out)
    checkpoint(model, average, tokenizer, a.out)


def checkpoint(model, average, tokenizer, out):
    save(average, tokenizer, out)
    save_file({k: v.clone() for k, v in model.state_dict().items()}, Path(out) / "raw.safetensors")


if __name__ == "__main__":
    main()
