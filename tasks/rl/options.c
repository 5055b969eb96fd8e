/* options.c — the keys "offline_rl.*". SPDX-License-Identifier: MIT */
#include "options.h"

const mr_opt mr_rl_opts[] = {
    {"env", "pendulum", "pendulum|tmaze|repeat|halfcheetah|hopper|walker2d", 0, 0,
     "environment; the last three need MuJoCo"},
    {"data", "medium", "medium|medium-replay|medium-expert", 0, 0, "level of the data set"},
    {"source", "auto", "auto|d4rl|generated", 0, 0,
     "data of MuJoCo's environments: D4RL files or made here; auto: files where their folder is "
     "given"},
    {"d4rl", "", "*", 0, 0,
     "folder of D4RL's v2 files, such as hopper_medium-v2.hdf5; empty: MINRNN_D4RL"},
    {"cache", "", "*", 0, 0, "folder of generated data; empty: rl/ in MINRNN_DATA or data/"},
    {"data_steps", "100000", NULL, 1, 100000000,
     "steps of generated medium data, and again of expert data; D4RL: 1000000"},
    {"ppo_seeds", "2", NULL, 1, 64, "policies trained to generate data from"},
    {"ppo_steps", "1000000", NULL, 1, 1000000000, "steps each of them learns for"},
    {"assets", "", "*", 0, 0, "folder of Gymnasium's XML files; empty: our own models"},
    {"window", "20", NULL, 1, 65536, "K, steps of a training segment and of what `window` sees"},
    {"start", "any", "any|first", 0, 0,
     "training segments start at any step, as published, or at the first one of an episode"},
    {"actions", "shown", "shown|hidden", 0, 0,
     "action tokens hold the action, as published, or nothing, lest models copy what they did"},
    {"pad", "hold", "hold|paper", 0, 0,
     "short segments: state held at h0, or filled up on the left as published"},
    {"eval", "window", "window|stream", 0, 0,
     "acting: from the last K steps, read anew each time, or with the state carried along"},
    {"episodes", "20", NULL, 1, 65536, "episodes per target return and evaluation"},
    {"target", "", "*", 0, 0,
     "returns to ask for, one or two, split by a comma; empty: the environment's"},
    {"time", "table", "table|none", 0, 0, "embedding of the step in the episode, or none"},
    {"corridor", "30", NULL, 1, 65535, "tmaze: steps between the cue and the junction"},
    {"delay", "4", NULL, 1, 65535, "repeat: steps between a symbol and its repetition"},
};
_Static_assert(sizeof mr_rl_opts / sizeof *mr_rl_opts == MR_RL_OPTIONS, "their number");
