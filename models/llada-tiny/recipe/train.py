"""Train llada-tiny: masked diffusion on chat-formatted answers, saved like a published LLaDA checkpoint.

Four sorts of batches are mixed. Drill: every line starts from a number of its own, and all results are asked at once.
Decoding: answers in the middle of being decoded by the model under training, masks as its own confidence leaves them.
Uniform: LLaDA's SFT loss. Elastic: whole decodes under that policy, with the gradient through the cache. Muon on the hidden
matrices, AdamW on the rest, an average of the weights kept. Products of weights run in bfloat16, the rest in float32.
"""
import argparse
import random
import time
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from canvases import Decoding, Drill, ListDrill, Uniform
from model import CONFIG, LLaDA, read_weights, save
from muon import Muon
from unrolled import Decodes, Unrolled, forward


def arguments():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--tokenizer", default="tokenizer.json")
    args.add_argument("--out", default="llada-tiny")
    args.add_argument("--init", help="a checkpoint folder to go on from")
    args.add_argument("--init-raw", help="go on from a raw.safetensors left in a folder")
    args.add_argument("--minutes", type=float, default=1e9, help="bounds the time; where it is the tighter one, the rate falls with time instead of steps")
    args.add_argument("--steps", type=int, default=1000)
    args.add_argument("--hold", type=float, default=0.2, help="share of the steps at the full rate; then it falls linearly")
    args.add_argument("--warmup", type=int, default=60, help="steps")
    args.add_argument("--lr", type=float, default=1e-3, help="AdamW's rate (embedding, head, norms)")
    args.add_argument("--muon", type=float, default=0.01, help="Muon's rate (hidden matrices)")
    args.add_argument("--drill", type=float, default=0.15, help="share of steps on drill canvases")
    args.add_argument("--uniform", type=float, default=0.04, help="share of steps on uniformly masked canvases")
    args.add_argument("--elastic", type=float, default=0.0, help="share of steps on decodes under `elastic`")
    args.add_argument("--rows", type=int, default=7000, help="rows of an elastic step, about")
    args.add_argument("--soften", type=float, default=0.65, help="what logits are scaled by while decoding under `elastic` (soften.py)")
    args.add_argument("--list-drill", type=float, default=0.0, help="share of steps on lists with most lines asked")
    args.add_argument("--mix", default="3,5,1.4", help="word problems, chains, code, savings among decoding and elastic steps")
    args.add_argument("--context", type=int, default=1024, help="positions that the checkpoint says it has")
    args.add_argument("--long-chains", type=float, default=0.5)
    args.add_argument("--short-chains", type=float, default=0.3)
    args.add_argument("--focus", type=float, default=1.0, help="focal loss: exponent of one minus the right token's probability")
    args.add_argument("--ema", type=float, default=0.995)
    args.add_argument("--eager", action="store_true", help="do not compile")
    args.add_argument("--threads", type=int, default=1)
    args.add_argument("--seed", type=int, default=0)
    return args.parse_args()


class Batches:
    """The sorts of batches, mixed."""

    def __init__(self, tokenizer, a):
        self.mix = [float(x) for x in a.mix.split(",")]
        self.mix += [0.0] * (4 - len(self.mix))  # without the last: no lists
        self.drill, self.uniform = Drill(tokenizer, a.seed + 7, a.long_chains), Uniform(tokenizer, a.seed + 16007, self.mix)
        self.lists = ListDrill(tokenizer, a.seed + 32007)
        self.decoding, self.decodes = Decoding(tokenizer, a.seed + 8007, a.short_chains), Decodes(tokenizer, a.seed + 24007, self.mix, a.soften)
        self.rng, self.rows, self.focus = random.Random(a.seed), a.rows, a.focus
        self.shares = {"drill": a.drill, "uniform": a.uniform, "elastic": a.elastic, "list_drill": a.list_drill}
        self.shares["decoding"] = 1 - sum(self.shares.values())

    def loss(self, model):
        """The kind of the next batch and the model's loss on it."""
        kind, = self.rng.choices(list(self.shares), self.shares.values())
        if kind == "elastic":
            u = Unrolled(self.decodes.next(model, self.rows))
            return kind, focal_loss(forward(model, u), u.target, u.weight, self.focus)
        if kind == "decoding":
            kind, = self.rng.choices(["word_problem", "chain", "code", "savings"], self.mix)
            ids, masked, weight = self.decoding.batch(kind)
        else:
            ids, masked, weight = {"drill": self.drill, "uniform": self.uniform, "list_drill": self.lists}[kind].batch()
        asked = weight > 0
        logits = model(ids.masked_fill(masked, self.drill.mask), asked)
        loss = focal_loss(logits, ids[asked], weight[asked], self.focus)
        if kind in self.decoding.pools:
            logits = logits.detach().clone()
            logits[:, self.drill.mask] = -torch.inf
            self.decoding.advance(logits, asked)
        return kind, loss


def focal_loss(logits, right, weight, focus):
    """Cross entropy times (1 - p) ** focus, p being the right token's probability.

    What is certain weighs nothing, and where the best guess is right 19 times in 20, the probability that costs least is 0.84:
    a threshold of 0.9 then commits only what is right 98 times in 100.
    """
    each = F.cross_entropy(logits, right, reduction="none")
    return (each * (1 - torch.exp(-each)) ** focus * weight).sum() / weight.sum()


def optimizers(model, a):
    """Each with its full rate."""
    hidden = [p for n, p in model.named_parameters() if p.dim() == 2 and "blocks" in n]
    rest = [p for n, p in model.named_parameters() if not (p.dim() == 2 and "blocks" in n)]
    return [(torch.optim.AdamW(rest, lr=a.lr, betas=(0.9, 0.98), weight_decay=0), a.lr), (Muon(hidden, lr=a.muon), a.muon)]


def update(model, loss, pairs, rate):
    for optimizer, full in pairs:
        optimizer.zero_grad(set_to_none=True)
        for group in optimizer.param_groups:
            group["lr"] = full * rate
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer, _ in pairs:
        optimizer.step()


@torch.no_grad()
def average_in(average, model, decay):
    for k, v in model.state_dict().items():
        average[k].lerp_(v, 1 - decay)


def checkpoint(model, average, tokenizer, out):
    save(average, tokenizer, out)
    save_file({k: v.clone() for k, v in model.state_dict().items()}, Path(out) / "raw.safetensors")


def main():
    a = arguments()
    torch.manual_seed(a.seed)
    torch.set_num_threads(a.threads)
    torch.set_flush_denormal(True)
    print(vars(a), flush=True)
    CONFIG["max_sequence_length"] = a.context
    tokenizer, model = Tokenizer.from_file(a.tokenizer), LLaDA()
    if a.init:
        model.load_state_dict(read_weights(a.init))
    if a.init_raw:
        model.load_state_dict(load_file(Path(a.init_raw) / "raw.safetensors"))
    average = {k: v.clone() for k, v in model.state_dict().items()}
    if not a.eager:
        model.trunk = torch.compile(model.trunk, dynamic=False)
    batches, pairs, start, running = Batches(tokenizer, a), optimizers(model, a), time.time(), {}
    for step in range(1, a.steps + 1):
        done = max((step - 1) / a.steps, (time.time() - start) / 60 / a.minutes)
        if done >= 1:
            break
        rate = min(1, step / a.warmup) * (1 if done < a.hold else max(0.01, (1 - done) / (1 - a.hold)))
        kind, loss = batches.loss(model)
        update(model, loss, pairs, rate)
        if step % 4 == 0:
            average_in(average, model, min(a.ema, step / (step + 20)) ** 4)
        running[kind] = 0.97 * running.get(kind, loss.item()) + 0.03 * loss.item()
        if step % 25 == 0:
            losses = ", ".join(f"{k} {v:.4f}" for k, v in sorted(running.items()))
            print(f"step {step}, {(time.time() - start) / 60:.1f} min, rate {rate:.3f}, {losses}", flush=True)
        if step % 50 == 0:
            checkpoint(model, average, tokenizer, a.out)
    checkpoint(model, average, tokenizer, a.out)


if __name__ == "__main__":
    main()
