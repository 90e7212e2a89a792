// Every step of small cases, worked out by hand from the engines' rules (SEMANTICS 1 to 4).
#include <gtest/gtest.h>

#include "tests/unit/sched/harness.h"

namespace headroom::testing {
namespace {

using Lines = std::vector<std::string>;

KvAllocatorOptions pool(std::int64_t blocks, std::int64_t block_size = 4) {
  KvAllocatorOptions options;
  options.capacity_tokens = blocks * block_size;
  options.block_size = block_size;
  options.kv_bytes_per_token = 64;
  options.num_layers = 1;
  return options;
}

SchedulerOptions engine(const std::string& name, std::int64_t tokens, std::int64_t seqs) {
  SchedulerOptions options;
  options.scheduler = name;
  options.max_num_batched_tokens = tokens;
  options.max_num_seqs = seqs;
  options.max_model_len = 64;
  return options;
}

TEST(VllmV1, PromptsInChunksShareStepsWithDecodes) {
  Harness h({{6, 4}, {9, 3}, {5, 2}}, "paged", pool(8), engine("vllm-v1", 10, 4));
  h.all_arrive();
  EXPECT_EQ(h.steps(), (Lines{"p0:6! p1:4", "d0 p1:5! p2:4", "d0 d1 p2:1!", "d0 d1 d2 f0 f1 f2"}));
}

TEST(VllmV1, NewestRunningGivesWayAndNothingIsAdmittedInThatStep) {
  Harness h({{7, 6}, {8, 5}, {3, 2}}, "paged", pool(5), engine("vllm-v1", 16, 3));
  h.all_arrive();
  EXPECT_EQ(h.steps(), (Lines{"p0:7! p1:8! p2:1", "d0 d1 x2", "d0 x1", "d0 B", "d0 B", "d0 B f0", "p1:10! p2:3!",
                              "d1 d2 f2", "d1 f1"}));
}

TEST(VllmV1, PlanningAheadAdmitsOneStepLate) {
  SchedulerOptions options = engine("vllm-v1", 16, 4);
  options.plans_ahead = true;
  Harness h({{4, 5}, {4, 3}, {4, 1}, {2, 1}}, "paged", pool(8), options);
  h.arrive(0);
  EXPECT_EQ(h.step(), "p0:4!");  // nothing ran: at once
  h.arrive(1);                   // while that step runs: the next one is planned already
  EXPECT_EQ(h.step(), "d0");
  h.arrive(2);
  EXPECT_EQ(h.step(), "d0 p1:4!");
  EXPECT_EQ(h.step(), "d0 d1 p2:4! f2");
  EXPECT_EQ(h.step(), "d0 d1 f0 f1");
  h.arrive(3);  // while the last step of all runs: nobody is left to plan for, so it does not wait
  EXPECT_EQ(h.step(), "p3:2! f3");
}

TEST(VllmV1, FullPromptGateIsATestAtAdmission) {
  SchedulerOptions options = engine("vllm-v1", 8, 4);
  {
    Harness h({{6, 3}, {16, 1}}, "paged", pool(5), options);
    h.all_arrive();
    EXPECT_EQ(h.step(), "p0:6! p1:2");
  }
  options.reserve_full_prompt = true;
  Harness h({{6, 3}, {16, 1}}, "paged", pool(5), options);
  h.all_arrive();
  EXPECT_EQ(h.step(), "p0:6! B");
}

TEST(VllmV1, WatermarkCountsOnlyWhileSomethingRuns) {
  SchedulerOptions options = engine("vllm-v1", 64, 4);
  options.watermark = 0.2;  // one of five blocks
  Harness h({{20, 1}, {4, 1}, {16, 1}, {1, 1}}, "paged", pool(5), options);
  h.arrive(0);
  EXPECT_EQ(h.step(), "p0:20! f0");  // all five blocks: alone, no watermark
  h.arrive(1);
  h.arrive(2);
  EXPECT_EQ(h.step(), "p1:4! B f1");  // 4 blocks left, 4 needed and one to be kept
}

TEST(VllmV1, WithoutChunkingAPromptWaitsForRoomInTheBudget) {
  SchedulerOptions options = engine("vllm-v1", 10, 4);
  options.enable_chunked_prefill = false;
  Harness h({{6, 3}, {9, 1}, {11, 1}}, "paged", pool(16), options);
  h.all_arrive();
  // Request 2 is longer than any step and is refused on arrival.
  EXPECT_EQ(h.steps(), (Lines{"r2 p0:6!", "d0 p1:9! f1", "d0 f0"}));
}

TEST(VllmV1, LongPrefillThresholdLetsShortPromptsPass) {
  SchedulerOptions options = engine("vllm-v1", 6, 4);
  options.long_prefill_token_threshold = 4;
  Harness h({{10, 2}, {2, 3}, {6, 1}}, "paged", pool(16), options);
  h.all_arrive();
  EXPECT_EQ(h.steps(), (Lines{"p0:4 p1:2!", "d1 p0:4 p2:1", "d1 p0:2! p2:3 f1", "d0 p2:2! f0 f2"}));
}

TEST(VllmV1, LateStopKeepsARowForOneMoreStep) {
  SchedulerOptions options = engine("vllm-v1", 16, 1);
  options.late_stop = true;
  Harness h({{4, 2}, {4, 1}}, "paged", pool(8), options);
  h.all_arrive();
  // Request 0 ends after its second token, but its row is in one more step, and its seat is taken until then.
  EXPECT_EQ(h.steps(), (Lines{"p0:4!", "d0 f0", "", "p1:4! f1", ""}));
}

// Planning ahead, with rows that stay a step after their end: such a row can be all that runs, and give up its blocks
// for want of one more. Whoever came during the last step then has no step to wait for, and the turn goes on with them.
SchedulerOptions ahead_and_late() {
  SchedulerOptions options = engine("vllm-v1", 16, 4);
  options.plans_ahead = options.late_stop = true;
  return options;
}

TEST(VllmV1, WhenOnlyCompleteRowsGaveUpTheNextIsAdmittedAtOnce) {
  Harness h({{8, 1}, {4, 1}}, "paged", pool(2), ahead_and_late());
  h.arrive(0);
  EXPECT_EQ(h.step(), "p0:8! f0");  // its row is complete, and there is no third block
  h.arrive(1);
  EXPECT_EQ(h.step(), "p1:4! f1");
}

TEST(VllmV1, WhenOnlyCompleteRowsGaveUpTheFetchedGoesOnAtOnce) {
  SchedulerOptions options = ahead_and_late();
  options.role = Role::kDecode;
  Harness h({{4, 5}, {8, 2}}, "paged", pool(5), options);
  h.scheduler().enqueue_computed(0);
  h.scheduler().enqueue_computed(1);
  EXPECT_EQ(h.step(), "n0:1 n1:2");  // two blocks and three
  h.arrived();
  for (const char* line : {"d0 t0", "d0", "d0", "d0 f0"}) EXPECT_EQ(h.step(), line);
  h.arrived();
  EXPECT_EQ(h.step(), "d1 t1 f1");
}

TEST(VllmV1, ATurnThatPreemptsOrFetchesIsNotDecidedAgain) {
  SchedulerOptions options = ahead_and_late();
  options.role = Role::kDecode;
  for (const bool preempts : {true, false}) {
    Harness h({{4, preempts ? 6 : 5}, {8, 2}, {4, 2}, {4, 2}}, "paged", pool(5), options);
    h.scheduler().enqueue_computed(0);
    h.scheduler().enqueue_computed(1);
    EXPECT_EQ(h.step(), "n0:1 n1:2");
    h.arrived();
    h.scheduler().enqueue_computed(2);
    for (const char* line : {"d0 t0 B", "d0 B", "d0 B", preempts ? "d0 B" : "d0 B f0"}) EXPECT_EQ(h.step(), line);
    h.scheduler().enqueue_computed(3);
    EXPECT_EQ(h.step(), preempts ? "x0" : "n2:1");
  }
}

TEST(VllmV1, SpeculationVerifiesDraftsAndStopsAtTheEnd) {
  SchedulerOptions options = engine("vllm-v1", 64, 4);
  options.speculation = Speculation{DraftMethod::kNgram, 3, 1.0, 1.0};
  Harness h({{4, 6}}, "paged", pool(8), options);
  h.all_arrive();
  EXPECT_EQ(h.steps(), (Lines{"p0:4!", "s0:3/3", "s0:0/0 f0"}));
  options.speculation.acceptance_rate = 0;
  Harness none({{4, 3}}, "paged", pool(8), options);
  none.all_arrive();
  EXPECT_EQ(none.steps(), (Lines{"p0:4!", "s0:1/0", "s0:0/0 f0"}));
}

TEST(VllmV1, APrefillInstanceKeepsItsBlocksUntilTheyHaveArrived) {
  SchedulerOptions options = engine("vllm-v1", 16, 4);
  options.role = Role::kPrefill;
  Harness h({{8, 5}, {8, 1}, {12, 3}}, "paged", pool(5), options);
  h.all_arrive();
  EXPECT_EQ(h.step(), "p0:8! p1:8! s0 f1");  // request 1 has but one token
  EXPECT_EQ(h.step(), "p2:12! s2");          // three blocks are left, just enough
  EXPECT_EQ(h.kv().available(), 0);
  h.released();
  EXPECT_EQ(h.kv().available(), 2);
  h.released();
  EXPECT_EQ(h.kv().available(), 5);
  EXPECT_TRUE(h.scheduler().batch().idle());
}

TEST(VllmV1, ADecodeInstanceGoesOnFromWhatItIsSent) {
  SchedulerOptions options = engine("vllm-v1", 16, 4);
  options.role = Role::kDecode;
  Harness h({{8, 3}, {4, 3}, {4, 2}}, "paged", pool(5), options);
  h.scheduler().enqueue_computed(0);
  h.scheduler().enqueue_computed(1);
  h.scheduler().enqueue_computed(2);
  // Two blocks come, a third is for the token that follows them; likewise one and two. For request 2 nothing is left.
  EXPECT_EQ(h.step(), "n0:2 n1:1 B");
  h.arrived();
  EXPECT_EQ(h.step(), "d0 t0 B");
  EXPECT_EQ(h.step(), "d0 B f0");
  EXPECT_EQ(h.step(), "n2:1");
  h.arrived();
  h.arrived();
  EXPECT_EQ(h.step(), "d1 d2 t1 t2 f2");
  EXPECT_EQ(h.step(), "d1 f1");
  EXPECT_TRUE(h.scheduler().batch().idle());
  EXPECT_EQ(h.kv().available(), 5);
}

TEST(VllmV1, OthersRunWhileBlocksComeFromTheHost) {
  KvAllocatorOptions options = pool(6);
  options.enable_prefix_caching = true;
  options.host_blocks = 8;
  Harness h({{8, 1}, {20, 1}, {8, 2}, {4, 3}}, "paged", options, engine("vllm-v1", 32, 4));
  h.know({{0, 7}, {2, 7}});  // the prompts of 0 and 2 are the same
  h.arrive(0);
  EXPECT_EQ(h.step(), "p0:8! f0");
  h.arrive(1);
  EXPECT_EQ(h.step(), "p1:20! f1");  // takes the place of one of request 0's two blocks, the later one
  h.arrive(2);
  h.arrive(3);
  EXPECT_EQ(h.step(), "p3:4! h2:1");
  EXPECT_EQ(h.step(), "d3");
  h.arrived();
  EXPECT_EQ(h.step(), "d3 p2:1! f3");  // the last token of a prompt is computed again
  EXPECT_EQ(h.step(), "d2 f2");
}

TEST(Batch, AnIdentifierIsUsedAgainWhenItsRequestHasEnded) {
  Harness h({{4, 2}, {4, 2}}, "paged", pool(8), engine("vllm-v1", 16, 4));
  h.arrive(0);
  EXPECT_EQ(h.step(), "p0:4!");
  const SequenceId first = h.scheduler().batch().first_running();
  EXPECT_EQ(h.step(), "d0 f0");
  h.arrive(1);
  EXPECT_EQ(h.step(), "p1:4!");
  EXPECT_EQ(h.scheduler().batch().first_running(), first);
}

TEST(VllmV0, StepsArePromptsOrDecodesNeverBoth) {
  Harness h({{6, 3}, {5, 4}, {7, 2}}, "paged", pool(6), engine("vllm-v0", 16, 4));
  h.all_arrive();
  EXPECT_EQ(h.steps(), (Lines{"p0:6! p1:5!", "p2:7!", "d0 d1 x2", "p2:8! f2", "d0 d1 f0", "d1 f1"}));
}

TEST(VllmV0, SamplesSwapInsteadOfRecomputing) {
  SchedulerOptions options = engine("vllm-v0", 32, 8);
  options.preemption = PreemptionMode::kAuto;
  KvAllocatorOptions kv = pool(8);
  kv.cpu_blocks = 8;
  // Two requests of two samples: 2 prompt blocks each, then a tail of its own for each sample.
  Harness h({{8, 6, 2}, {8, 6, 2}}, "paged", kv, options);
  h.all_arrive();
  EXPECT_EQ(h.step(), "p0:8! p1:8!");
  EXPECT_EQ(h.step(), "d0 d1");         // every sample takes a block: 2 + 2 + 4 of 8
  EXPECT_EQ(h.step(), "d0 x1 swap:4");  // no block per sample left: the newest goes, with all it has
}

// From the third step on there are two free seats and blocks enough for request 2, but 1 left them and is first.
TEST(VllmV0, NobodyIsAdmittedWhileARequestIsSwapped) {
  SchedulerOptions options = engine("vllm-v0", 32, 4);
  options.preemption = PreemptionMode::kAuto;
  KvAllocatorOptions kv = pool(8);
  kv.cpu_blocks = 8;
  Harness h({{8, 6, 2}, {8, 6, 2}, {4, 1, 2}}, "paged", kv, options);
  h.all_arrive();
  EXPECT_EQ(h.steps(), (Lines{"p0:8! p1:8!", "d0 d1", "d0 x1 swap:4", "d0", "d0", "d0 f0", "d1 swap:4", "p2:4! f2",
                              "d1", "d1", "d1 f1"}));
}

TEST(Sarathi, DecodesFirstAndWholePromptAllocated) {
  SchedulerOptions options = engine("sarathi", 64, 4);
  options.chunk_size = 8;
  Harness h({{6, 3}, {10, 2}}, "paged", pool(8), options);
  h.all_arrive();
  EXPECT_EQ(h.step(), "p0:6! p1:2");
  EXPECT_EQ(h.kv().available(), 8 - 2 - 3);  // the second prompt's blocks are all taken
  EXPECT_EQ(h.steps(), (Lines{"d0 p1:7", "d0 p1:1! f0", "d1 f1"}));
}

TEST(Orca, ReservesEverythingAtAdmission) {
  Harness h({{6, 3}, {10, 4}, {5, 2}}, "contiguous-exact", pool(24, 1), engine("orca", 64, 4));
  h.all_arrive();
  EXPECT_EQ(h.steps(), (Lines{"p0:6! p1:10! B", "d0 d1 B", "d0 d1 B f0", "d1 p2:5! f1", "d2 f2"}));
}

TEST(Orca, PagedReservesBlocksForTheLongestRequest) {
  SchedulerOptions options = engine("orca", 64, 4);
  options.max_model_len = 16;
  Harness h({{6, 3}, {6, 3}, {6, 3}}, "paged", pool(8), options);
  h.all_arrive();
  EXPECT_EQ(h.step(), "p0:6! p1:6! B");
  EXPECT_EQ(h.kv().available(), 0);
}

TEST(HfGenerate, RunsToTheSlowestRow) {
  Harness h({{4, 3}, {2, 1}, {3, 2}}, "dynamic", pool(64, 1), engine("hf-generate", 64, 2));
  h.all_arrive();
  EXPECT_EQ(h.steps(), (Lines{"p0:4! p1:4! l1", "d0", "d0 l0 f0 f1", "p2:3!", "d2 l2 f2"}));
}

TEST(HfGenerate, OutOfMemoryTakesTheWholeBatch) {
  // Rows of blocks of one slot: 2 x 4 slots at prefill, 10 in the pool; the second decode step finds none.
  Harness h({{4, 8}, {4, 8}, {2, 1}}, "paged", pool(10, 1), engine("hf-generate", 64, 2));
  h.arrive(0);
  EXPECT_EQ(h.step(), "r0");
  Harness fits({{4, 4}, {4, 4}, {2, 1}}, "paged", pool(10, 1), engine("hf-generate", 64, 2));
  fits.all_arrive();
  EXPECT_EQ(fits.steps(), (Lines{"p0:4! p1:4!", "d0 d1", "p2:2! o0 o1 l2 f2"}));
}

TEST(FasterTransformer, TakesAsManyOfTheEarliestAsFit) {
  Harness h({{4, 2}, {4, 2}, {4, 2}}, "contiguous-max", pool(11, 1), engine("fastertransformer", 64, 3));
  h.all_arrive();
  EXPECT_EQ(h.steps(), (Lines{"p0:4! p1:4! B", "d0 d1 l0 l1 f0 f1", "p2:4!", "d2 l2 f2"}));
}

TEST(HfContinuous, Rules2025TakeASpareBlock) {
  SchedulerOptions options = engine("hf-continuous", 16, 8);
  options.continuous_rules = ContinuousRules::k2025;
  Harness h({{7, 3}, {6, 4}}, "paged", pool(8), options);
  h.all_arrive();
  EXPECT_EQ(h.step(), "p0:7! p1:6!");
  EXPECT_EQ(h.kv().available(), 8 - 3 - 2);
  EXPECT_EQ(h.steps(), (Lines{"d0 d1", "d0 d1 f0", "d1 f1"}));
}

TEST(HfContinuous, ResetsOneOnlyWhenNothingCanRun) {
  SchedulerOptions options = engine("hf-continuous", 32, 8);
  options.continuous_rules = ContinuousRules::k2026;
  options.safety_margin = 0;
  Harness h({{4, 4}, {4, 4}}, "paged", pool(3), options);
  h.all_arrive();
  // One block each, one spare: the first decode takes it, the second is passed over until the first has ended.
  EXPECT_EQ(h.steps(), (Lines{"p0:4! p1:4!", "d0", "d0", "d0 f0", "d1", "d1", "d1 f1"}));
  Harness tight({{4, 4}, {4, 4}}, "paged", pool(2), options);
  tight.all_arrive();
  // No spare: nothing can run, so the oldest is reset, and nothing new enters until one has ended.
  EXPECT_EQ(tight.steps(), (Lines{"p0:4! p1:4!", "d1 x0", "d1", "d1 f1", "p0:5!", "d0", "d0 f0"}));
}

}  // namespace
}  // namespace headroom::testing
