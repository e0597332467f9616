#!/bin/sh
# The last stages of training, in order, from weights of earlier stages of 40 to 90 minutes (`initial`, not kept here:
# the same shape and tokenizer, trained with bfloat16 autocast on uniformly masked and cut-off answers).
# Stage 1 was stopped by hand after its checkpoint at step 500, and held 80 code answers in its pool instead of 160;
# stage 2 ended by its time, at a little over 200 steps.
set -e
python train.py --tokenizer initial/tokenizer.json --init initial --out stage1 --steps 500 --hold 1 --lr 1e-3 --muon 0.01 \
    --drill 0.5 --uniform 0.06 --mix 5,4,1 --ema 0.995
python train.py --tokenizer initial/tokenizer.json --init-raw stage1 --out stage2 --minutes 11.65 --steps 1000 --hold 0.1 --lr 1e-3 --muon 0.01 \
    --drill 0.45 --uniform 0.05 --mix 3,3.3,3.7 --ema 0.98 --seed 1000
