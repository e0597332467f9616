"""Scale a checkpoint's logits, so that the decoder's threshold of 0.9 asks for more certainty: fewer tokens a pass, more of them right."""
import argparse
import json
from pathlib import Path

from tokenizers import Tokenizer

from model import CONFIG, read_weights, save


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("model")
    args.add_argument("out")
    args.add_argument("factor", type=float)
    a = args.parse_args()
    weights = read_weights(a.model)
    CONFIG["max_sequence_length"] = json.loads((Path(a.model) / "config.json").read_text())["max_sequence_length"]
    weights["ff_out.weight"] *= a.factor
    save(weights, Tokenizer.from_file(str(Path(a.model) / "tokenizer.json")), a.out)


if __name__ == "__main__":
    main()
