"""Decoding under `elastic` as long as nothing drifts: after one full forward, only the rows that a step needs, over cached keys and values."""
import torch
import torch.nn.functional as F

WINDOW = 16
NONE = torch.iinfo(torch.int64).max


class ElasticDecode:
    """A batch of canvases in the middle of being decoded. The engine's drift test is left out: this model does not trigger it."""

    def __init__(self, model, ids, masked, lengths=None):
        """`masked` says which positions are to be filled (they must hold the mask id); `lengths`, where a canvas ends before its row."""
        batch, length = ids.shape
        spare = lambda x, value: F.pad(x, (0, 1), value=value)  # one more position, for rows that are none
        self.model, self.ids, self.masked = model, spare(ids, 0), spare(masked, False)
        self.which, self.first = torch.arange(batch), True
        self.hidden = torch.arange(length + 1) >= (torch.full((batch,), length) if lengths is None else lengths)[:, None]
        self.keys, self.values = [], []
        self.tracked = self.committed = torch.full((batch, 0), length)

    @property
    def spare(self):
        return self.ids.shape[1] - 1

    def earliest(self, chosen, count):
        """The first `count` chosen positions of each canvas, the spare one where there are fewer."""
        at = torch.where(chosen, torch.arange(chosen.shape[1]), self.spare)
        return at.sort(1).values[:, :count]

    @torch.no_grad()
    def step(self):
        """Positions of the window, and their logits; `rows` holds what the step computed."""
        self.window = self.earliest(self.masked, WINDOW)
        if self.first:
            self.rows = self.window
            self.first, x = False, self.full()
        else:
            self.rows = torch.cat([self.tracked, self.committed, self.window], 1)
            x = self.reuse()
        return self.window, self.model.ff_out(self.model.ln_f(x[:, -self.window.shape[1]:]))

    def full(self):
        size, at = self.ids.shape[1], self.window[:, :, None]
        sin, cos, x = self.model.sin[:size], self.model.cos[:size], self.model.wte(self.ids)
        mask, tracked = ~self.hidden[:, None, None], []
        for block in self.model.blocks:
            q, k, v = (y.transpose(1, 2).contiguous() for y in block.project(x, sin, cos))
            self.keys.append(k)
            self.values.append(v)
            x = block.finish(x, F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2))
            q = q.gather(2, at[:, None].expand(-1, q.shape[1], -1, q.shape[3]))
            tracked.append(self.attention(q, k).sum((1, 2)))
        self.track(tracked)
        return x.gather(1, at.expand(-1, -1, x.shape[2]))

    def reuse(self):
        x = self.model.wte(self.ids.gather(1, self.rows))
        sin, cos = self.model.sin[self.rows], self.model.cos[self.rows]
        canvas, tracked = torch.arange(len(x))[:, None], []
        for block, k, v in zip(self.model.blocks, self.keys, self.values):
            q, new_k, new_v = block.project(x, sin, cos)
            k[canvas, :, self.rows], v[canvas, :, self.rows] = new_k, new_v
            a = self.attention(q.transpose(1, 2), k)
            x = block.finish(x, (a @ v).transpose(1, 2))
            tracked.append(a[:, :, -self.window.shape[1]:].sum((1, 2)))
        self.track(tracked)
        return x

    def attention(self, q, k):
        scores = q @ k.mT * q.shape[-1] ** -0.5
        return scores.masked_fill_(self.hidden[:, None, None], -torch.inf).softmax(-1)

    def track(self, mass):
        """Each layer's most attended position."""
        best = torch.stack([m.masked_fill(self.masked | self.hidden, 0).argmax(1) for m in mass], 1).sort(1).values
        again = F.pad(best[:, 1:] == best[:, :-1], (1, 0))
        best = best.masked_fill(again, self.spare).sort(1).values
        self.tracked = best[:, :int((best < self.spare).sum(1).max())]

    def commit(self, chosen, tokens, eos):
        """Fill the chosen rows of the window; behind an end of text nothing is filled any more."""
        chosen = chosen & (self.window < self.spare)
        at = self.window.masked_fill(~chosen, self.spare)
        self.committed = at.sort(1).values[:, :max(1, int(chosen.sum(1).max()))]
        self.ids.scatter_(1, at, tokens)
        self.masked.scatter_(1, at, False)
        end = self.window.masked_fill(~(chosen & (tokens == eos)), NONE).amin(1, keepdim=True)
        self.masked &= torch.arange(self.spare + 1) <= end

    def keep(self, rest):
        """Go on with some of the canvases."""
        for name in ("ids", "masked", "hidden", "which", "tracked", "committed"):
            setattr(self, name, getattr(self, name)[rest])
        self.keys, self.values = [k[rest] for k in self.keys], [v[rest] for v in self.values]

    def confident(self, logits, threshold, mask_id):
        """The best token but MASK of each row of the window, and whether it is committed: at the threshold, or the surest one below it."""
        logits = logits.clone()
        logits[..., mask_id] = -torch.inf
        confidence, token = logits.softmax(-1).max(-1)
        confidence = confidence.masked_fill(self.window == self.spare, -1)
        return token, confidence >= torch.minimum(threshold, confidence.amax(1, keepdim=True))
