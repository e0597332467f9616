"""Training through whole decodes under `elastic`.

Where every step's rows are known, a decode is one forward pass: rows of the first, full step, then those of all later steps, each
attending to what stood in the cache at its step. So the gradient goes through the cache, and what is written there learns to be of use.
"""
import numpy as np
import torch
import torch.nn.functional as F

from canvases import EOS_FILL_WEIGHT, Canvases
from elastic import ElasticDecode
from model import attend

CHUNK = 96  # rows of successive steps that share one table of the cache before them


class Trajectory:
    """What a decode computed: the first step's canvas, and (positions, ids, loss weights, right ids) for the rows of each step."""

    def __init__(self, ids):
        self.ids, self.steps = ids, []

    def rows(self):
        return sum(len(s[0]) for s in self.steps)


class Decodes(Canvases):
    """Answers decoded by the model under training: it says when a position is committed, the right token is what is committed."""

    GROUP = 24  # canvases decoded side by side
    LENGTHS = {"word_problem": [192, 320, 576], "chain": [320, 320, 416, 576], "code": [192, 320, 576],
               "savings": [352, 608, 608, 1120]}

    def __init__(self, tokenizer, seed, mix, soften):
        super().__init__(tokenizer, seed)
        self.mix, self.soften, self.waiting = mix, soften, []

    def next(self, model, rows):
        """Trajectories of one canvas length with about so many rows in all."""
        if not self.waiting:
            self.waiting = self.decode(model)
        size, some = len(self.waiting[0].ids), []
        while self.waiting and (not some or sum(size + t.rows() for t in some) + size + self.waiting[-1].rows() < rows):
            some.append(self.waiting.pop())
        return some

    def draw(self):
        """Right ids, which of them are masked, and where each answer ends."""
        task, = self.rng.choices(list(self.LENGTHS), self.mix)
        length, pairs = self.rng.choice(self.LENGTHS[task]), []
        while len(pairs) < (self.GROUP if task != "savings" else self.GROUP // 4):
            question, answer = self.pair(task)
            if task == "savings":
                answer = answer[:length - len(question)]  # it fills whatever canvas there is
            if len(question) + len(answer) + 4 <= length or task == "savings":
                pairs.append((question, answer))
        start, end = torch.tensor([(len(q), len(q) + len(a)) for q, a in pairs]).T[:, :, None]
        return self.pack([q + a for q, a in pairs], length), torch.arange(length) >= start, end

    def decode(self, model):
        right, masked, end = self.draw()
        ids, at = right.masked_fill(masked, self.mask), torch.arange(right.shape[1] + 1)
        threshold = torch.tensor([0.9 if self.rng.random() < 0.7 else self.rng.uniform(0.6, 0.97) for _ in ids])[:, None]
        found, right = [Trajectory(row) for row in ids], F.pad(right, (0, 1))
        model.eval()
        run = ElasticDecode(model, ids, masked)
        while len(run.which):
            window, logits = run.step()
            self.record(run, found, right, end)
            _, chosen = run.confident(logits * self.soften, threshold[run.which], self.mask)
            run.commit(chosen, right[run.which].gather(1, window), self.eos)
            going = (run.masked & (at < end[run.which])).any(1)
            if not going.all():
                run.keep(going)
        model.train()
        self.rng.shuffle(found)
        return found

    def record(self, run, found, right, end):
        rows, window = run.rows, run.window.shape[1]
        asked = torch.where(torch.arange(window) < 10, 1.0, 0.2) * torch.where(run.window < end[run.which], 1.0, EOS_FILL_WEIGHT)
        weight = F.pad(asked, (rows.shape[1] - window, 0))
        ids, target = run.ids.gather(1, rows), right[run.which].gather(1, rows)
        real = rows < run.spare
        for i, which in enumerate(run.which.tolist()):
            found[which].steps.append([x[i][real[i]].numpy() for x in (rows, ids, weight, target)])


class Unrolled:
    """The tensors of one pass over several trajectories.

    Rows are laid out as all first steps, then chunks of CHUNK rows, each of one trajectory. A chunk's keys are the canvas as it was cached
    before the chunk (`table`, into all rows) and then the chunk's own; `mask` says what of both a row sees.
    """

    def __init__(self, trajectories):
        self.first = torch.stack([t.ids for t in trajectories])
        self.batch, self.length = self.first.shape
        self.ids, self.positions, self.tables, self.masks = [], [], [], []
        self.asked, self.weight, self.target = [], [], []  # rows of the loss
        for i, t in enumerate(trajectories):
            self.add(i, t)
        tensor = lambda x: torch.from_numpy(np.concatenate(x))
        self.asked, self.weight, self.target = tensor(self.asked), tensor(self.weight), tensor(self.target)
        stack = lambda x: torch.from_numpy(np.stack(x))
        self.ids, self.positions, self.table, self.mask = stack(self.ids), stack(self.positions), stack(self.tables), stack(self.masks)

    def add(self, i, trajectory):
        latest = np.arange(self.length) + i * self.length
        at, _, weight, target = trajectory.steps[0]
        self.ask(latest[at], weight, target)
        steps = trajectory.steps[1:]
        while steps:
            count = 1
            while count < len(steps) and sum(len(s[0]) for s in steps[:count + 1]) <= CHUNK:
                count += 1
            latest = self.chunk(steps[:count], latest)
            steps = steps[count:]

    def chunk(self, steps, latest):
        ids, positions = np.zeros(CHUNK, np.int64), np.zeros(CHUNK, np.int64)
        mask = np.zeros((CHUNK, self.length + CHUNK), bool)
        mask[:, 0] = True  # rows of padding see something
        sees = np.arange(self.length + CHUNK) < self.length
        own = np.full(self.length, -1)  # where in the chunk a position was written last
        base, row = self.batch * self.length + len(self.ids) * CHUNK, 0
        for at, token, weight, target in steps:
            rows = np.arange(row, row + len(at))
            ids[rows], positions[rows] = token, at
            sees[at] = False
            before = own[at]
            sees[self.length + before[before >= 0]] = False
            sees[self.length + rows] = True
            own[at], mask[rows] = rows, sees
            self.ask(base + rows, weight, target)
            row += len(at)
        self.ids.append(ids)
        self.positions.append(positions)
        self.tables.append(latest)
        self.masks.append(mask)
        return np.where(own >= 0, base + own, latest)

    def ask(self, rows, weight, target):
        some = weight > 0
        self.asked.append(rows[some])
        self.weight.append(weight[some])
        self.target.append(target[some])


def gather(x, table):
    """Rows of x by number (an embedding, whose backward is the fast one)."""
    return F.embedding(table, x.flatten(1)).unflatten(-1, x.shape[1:])


def forward(model, u):
    """Logits of the asked rows."""
    full = u.batch * u.length
    split = lambda x: (x[:full].unflatten(0, (u.batch, u.length)), x[full:].unflatten(0, (-1, CHUNK)))
    positions = torch.cat([torch.arange(u.length).repeat(u.batch), u.positions.flatten()])
    with torch.autocast("cpu", torch.bfloat16, enabled=model.training):
        sin, cos = model.sin[positions], model.cos[positions]
        x = model.wte(torch.cat([u.first.flatten(), u.ids.flatten()]))
        for block in model.blocks:
            q, k, v = block.project(x, sin, cos)
            (first_q, later_q), (first_k, later_k), (first_v, later_v) = (split(y.float()) for y in (q, k, v))
            first = attend(first_q, first_k, first_v)
            keys, values = (torch.cat([gather(y.float(), u.table), own], 1) for y, own in ((k, later_k), (v, later_v)))
            later = attend(later_q, keys, values, u.mask[:, None])
            x = block.finish(x, torch.cat([first.flatten(0, 1), later.flatten(0, 1)]))
        x = model.ln_f(x)
    return model.ff_out(x[u.asked])
