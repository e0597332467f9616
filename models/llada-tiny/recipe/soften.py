"""Scale a checkpoint's logits, so that the decoder's threshold of 0.9 asks for more certainty: fewer tokens a pass, more of them right."""
import argparse
from pathlib import Path

from tokenizers import Tokenizer

from model import read_weights, save


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("model")
    args.add_argument("out")
    args.add_argument("factor", type=float)
    a = args.parse_args()
    weights = read_weights(a.model)
    weights["ff_out.weight"] *= a.factor
    save(weights, Tokenizer.from_file(str(Path(a.model) / "tokenizer.json")), a.out)


if __name__ == "__main__":
    main()
