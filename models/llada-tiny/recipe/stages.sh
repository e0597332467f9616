#!/bin/sh
# The last stages of training, in order, from weights of earlier stages of 40 to 90 minutes (`initial`, not kept here:
# the same shape and tokenizer, trained with bfloat16 autocast on uniformly masked and cut-off answers).
# Stages 1 and 2 ran with a train.py that had no focal loss, float32 products and a pool decoded in blocks only, and
# held 80 code answers in stage 1; the present one is not that program. Stage 1 was stopped by hand after its
# checkpoint at step 500; stages 2 and 3 ended by their time, at a little over 200 and 500 steps. Stages 1 to 3 mixed no
# decodes under `elastic`. Stage 4 was stopped by hand after its checkpoint at step 100. Two lines of unrolled.py were other
# then: the first 8 positions of a window weighed 1 and the rest 0.5, and chains had canvases of 320, 416, 576 and 608. It began from
# stage 3 softened by 0.65, rounded to bfloat16, and sharpened again (soften.py with 1.5384615).
set -e
export MALLOC_MMAP_THRESHOLD_=8589934592 MALLOC_TRIM_THRESHOLD_=17179869184 # keep freed memory: fewer page faults, 10 % faster
python train.py --tokenizer initial/tokenizer.json --init initial --out stage1 --steps 500 --hold 1 --warmup 100 --lr 1e-3 --muon 0.01 \
    --drill 0.5 --uniform 0.06 --mix 5,4,1 --focus 0 --threads 2
python train.py --tokenizer initial/tokenizer.json --init-raw stage1 --out stage2 --minutes 11.65 --hold 0.1 --warmup 100 --lr 1e-3 --muon 0.01 \
    --drill 0.45 --uniform 0.05 --mix 3,3.3,3.7 --focus 0 --ema 0.98 --threads 2 --seed 1000
python train.py --tokenizer initial/tokenizer.json --init stage2 --out stage3 --minutes 26 --steps 100000 --hold 0.1 --warmup 25 --lr 4e-4 --muon 0.004 \
    --drill 0.15 --uniform 0.04 --mix 3,6,1.5 --short-chains 0.1 --ema 0.99 --seed 3000
python train.py --tokenizer initial/tokenizer.json --init stage3 --out stage4 --minutes 28 --steps 100000 --hold 0.35 --warmup 20 --lr 5e-4 --muon 0.005 \
    --drill 0.06 --uniform 0.03 --elastic 0.62 --mix 3,6,1.2 --short-chains 0.1 --ema 0.985 --eager --seed 4000
python train.py --tokenizer initial/tokenizer.json --init stage4 --out stage5 --minutes 15 --steps 100000 --hold 0.15 --warmup 8 --lr 2e-4 --muon 0.0022 \
    --drill 0.14 --uniform 0.01 --elastic 0.65 --mix 2.2,7,0.9 --short-chains 0.1 --ema 0.985 --eager --seed 6000
python soften.py stage5 llada-tiny 0.8
