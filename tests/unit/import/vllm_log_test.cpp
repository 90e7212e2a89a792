// Start-up lines of the forms that versions from 0.3 to 0.2x print; the figures in them are ours.
#include "sim/import/vllm_log.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace headroom {
namespace {

std::string last(const VllmLog& log, const std::string& flag) {
  std::string value = "(none)";
  for (const auto& [name, text] : log.command.settings)
    if (name == flag) value = text;
  return value;
}

TEST(VllmLog, Version05) {
  const VllmLog log = parse_vllm_log(
      "INFO 08-01 10:00:00 api_server.py:219] vLLM API server version 0.5.3.post1\n"
      "INFO 08-01 10:00:00 api_server.py:220] args: Namespace(host=None, port=8000, allowed_origins=['*'], "
      "model='facebook/opt-13b',"
      " tensor_parallel_size=1, swap_space=4, gpu_memory_utilization=0.85, max_num_seqs=256, enable_lora=False,"
      " cpu_offload_gb=0, scheduler_delay_factor=0.0, num_lookahead_slots=0, kv_transfer_config=None)\n"
      "INFO 08-01 10:00:01 llm_engine.py:176] Initializing an LLM engine (v0.5.3.post1) with config: "
      "model='facebook/opt-13b',"
      " speculative_config=None, dtype=torch.float16, max_seq_len=2048, download_dir=None, tensor_parallel_size=1,"
      " quantization=None, enforce_eager=False, kv_cache_dtype=auto, use_v2_block_manager=False, "
      "enable_prefix_caching=False)\n"
      "INFO 08-01 10:00:30 model_runner.py:692] Loading model weights took 24.0400 GB\n"
      "INFO 08-01 10:00:40 gpu_executor.py:102] # GPU blocks: 1200, # CPU blocks: 327\n");
  EXPECT_TRUE(log.is_start_up);
  EXPECT_TRUE(log.command.v0);
  EXPECT_EQ(log.command.version, "0.5.3.post1");
  EXPECT_EQ(last(log, "model"), "facebook/opt-13b");
  EXPECT_EQ(last(log, "dtype"), "float16");
  EXPECT_EQ(last(log, "max-model-len"), "2048");
  EXPECT_EQ(last(log, "gpu-memory-utilization"), "0.85");
  EXPECT_EQ(last(log, "enforce-eager"), "false");
  EXPECT_EQ(last(log, "enable-lora"), "(none)") << "arguments at their default are not in use";
  EXPECT_EQ(last(log, "cpu-offload-gb"), "(none)");
  EXPECT_EQ(last(log, "port"), "(none)");
  EXPECT_EQ(log.gpu_blocks, 1200);
  EXPECT_DOUBLE_EQ(*log.weights_gib, 24.04);
}

TEST(VllmLog, Version07SaysCudaBlocksAndTheShareOfMemory) {
  const VllmLog log = parse_vllm_log(
      "INFO 03-21 20:15:00 llm_engine.py:234] Initializing a V0 LLM engine (v0.7.3) with config: model='/data/m', "
      "dtype=torch.bfloat16,"
      " max_seq_len=4096, tensor_parallel_size=2, compilation_config={\"capture_sizes\":[256,248],\"x\":\"a, b=c\"}, "
      "use_cached_outputs=True,\n"
      "(VllmWorkerProcess pid=9) INFO 03-21 20:15:45 worker.py:267] the current vLLM instance can use total_gpu_memory "
      "(79.19GiB) x"
      " gpu_memory_utilization (0.90) = 71.27GiB\n"
      "(VllmWorkerProcess pid=9) INFO 03-21 20:15:45 worker.py:267] model weights take 12.55GiB; non_torch_memory "
      "takes 0.16GiB;"
      " PyTorch activation peak memory takes 2.38GiB; the rest of the memory reserved for KV Cache is 56.18GiB.\n"
      "INFO 03-21 20:15:46 executor_base.py:111] # cuda blocks: 7191, # CPU blocks: 512\n"
      "INFO 03-21 20:15:46 executor_base.py:116] Maximum concurrency for 4096 tokens per request: 28.09x\n");
  EXPECT_TRUE(log.command.v0);
  EXPECT_EQ(last(log, "tensor-parallel-size"), "2");
  EXPECT_EQ(last(log, "gpu-memory-utilization"), "0.90");
  EXPECT_DOUBLE_EQ(*log.gpu_memory_gib, 79.19);
  EXPECT_DOUBLE_EQ(*log.weights_gib, 12.55);
  EXPECT_DOUBLE_EQ(*log.activation_gib, 2.38);
  EXPECT_DOUBLE_EQ(*log.kv_cache_gib, 56.18);
  EXPECT_EQ(log.gpu_blocks, 7191);
}

TEST(VllmLog, Version08V1CountsTokens) {
  const VllmLog log = parse_vllm_log(
      "(EngineCore_1 pid=2) INFO 04-17 23:05:00 [core.py:61] Initializing a V1 LLM engine (v0.8.3) with config: "
      "model='Qwen/Qwen2.5-7B-Instruct',"
      " dtype=torch.bfloat16, max_seq_len=32768, tensor_parallel_size=1, enforce_eager=True, kv_cache_dtype=fp8,  "
      "device_config=cuda,"
      " enable_prefix_caching=True, chunked_prefill_enabled=True, use_async_output_proc=False\n"
      "(EngineCore_1 pid=2) INFO 04-17 23:05:09 [gpu_model_runner.py:1273] Model loading took 14.2487 GiB and 4.500000 "
      "seconds\n"
      "(EngineCore_1 pid=2) INFO 04-17 23:05:30 [kv_cache_utils.py:578] GPU KV cache size: 1,042,016 tokens\n"
      "(EngineCore_0 pid=1) INFO 04-17 23:05:30 [kv_cache_utils.py:578] GPU KV cache size: 1,041,984 tokens\n"
      "INFO 04-17 23:05:30 [kv_cache_utils.py:581] Maximum concurrency for 32,768 tokens per request: 31.80x\n");
  EXPECT_FALSE(log.command.v0);
  EXPECT_EQ(log.kv_tokens, 1041984) << "the smallest of the engines";
  EXPECT_EQ(last(log, "kv-cache-dtype"), "fp8");
  EXPECT_EQ(last(log, "enforce-eager"), "true");
  EXPECT_EQ(last(log, "enable-chunked-prefill"), "true");
}

TEST(VllmLog, Version2026) {
  const VllmLog log = parse_vllm_log(
      "2026-07-08T22:39:00.1Z (APIServer pid=1) INFO 07-08 22:39:00 [utils.py:250] non-default args: {'model_tag': "
      "'Qwen/Qwen3-8B', 'api_server_count': 1,"
      " 'model': 'Qwen/Qwen3-8B', 'max_model_len': 8192, 'gpu_memory_utilization': 0.8, 'async_scheduling': True,"
      " 'kv_transfer_config': KVTransferConfig(kv_connector='X', kv_role='kv_both'), 'enable_expert_parallel': True}\n"
      "2026-07-08T22:39:01.1Z (APIServer pid=1) INFO 07-08 22:39:01 [scheduler.py:226] Chunked prefill is enabled with "
      "max_num_batched_tokens=8192.\n"
      "2026-07-08T22:39:01.2Z (APIServer pid=1) INFO 07-08 22:39:01 [vllm.py:669] Asynchronous scheduling is enabled.\n"
      "2026-07-08T22:39:09.1Z (EngineCore pid=5) INFO 07-08 22:39:09 [core.py:112] Initializing a V1 LLM engine "
      "(v0.22.1) with config: model='Qwen/Qwen3-8B',"
      " dtype=torch.bfloat16, max_seq_len=8192, tensor_parallel_size=1, data_parallel_size=2, "
      "decode_context_parallel_size=1,"
      " quantization=None, structured_outputs_config=StructuredOutputsConfig(backend='auto', dtype='no'), "
      "enable_prefix_caching=True\n"
      "2026-07-08T22:40:05.7Z (EngineCore pid=5) INFO 07-08 22:40:05 [gpu_model_runner.py:6588] Estimated CUDA graph "
      "memory: 0.44 GiB total\n"
      "2026-07-08T22:40:06.0Z (EngineCore pid=5) INFO 07-08 22:40:06 [gpu_worker.py:508] Available KV cache memory: "
      "37.99 GiB\n"
      "2026-07-08T22:40:06.1Z (EngineCore pid=5) INFO 07-08 22:40:06 [kv_cache_utils.py:2040] GPU KV cache size: "
      "276,624 tokens,"
      " Maximum concurrency for 8,192 tokens per request: 33.77x\n"
      "2026-07-08T22:40:20.1Z (EngineCore pid=5) INFO 07-08 22:40:20 [model_runner.py:960] Graph capturing finished in "
      "4 secs, took 0.61 GiB\n"
      "GPU 0: NVIDIA L40S (UUID: GPU-0)\n");
  EXPECT_EQ(log.command.version, "0.22.1");
  EXPECT_EQ(log.kv_tokens, 276624);
  EXPECT_DOUBLE_EQ(*log.kv_cache_gib, 37.99);
  EXPECT_DOUBLE_EQ(*log.cuda_graph_gib, 0.44) << "the estimate, which the plan was made with";
  EXPECT_EQ(log.device, "NVIDIA L40S");
  EXPECT_EQ(last(log, "max-num-batched-tokens"), "8192");
  EXPECT_EQ(last(log, "async-scheduling"), "true");
  EXPECT_EQ(last(log, "data-parallel-size"), "2");
  EXPECT_EQ(last(log, "kv-transfer-config"), "KVTransferConfig(kv_connector='X', kv_role='kv_both')");
  EXPECT_EQ(last(log, "enable-expert-parallel"), "true");
  EXPECT_EQ(last(log, "dtype"), "bfloat16") << "not that of an inner configuration";
}

// Any bytes end in a value: cut lines, unbalanced brackets, binary.
TEST(VllmLog, DamagedLogs) {
  const std::string whole =
      "args: Namespace(model='a\\'b', x=[1,(2,{3:'}'})], y=None)\nInitializing a V1 LLM engine (v0.8.3) with config: "
      "model='m', dtype=torch.half\n"
      "# GPU blocks: 12, # CPU blocks: 4\nGPU KV cache size: 1,024 tokens\n";
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) parse_vllm_log(whole.substr(0, cut));
  EXPECT_FALSE(parse_vllm_log("").is_start_up);
  EXPECT_FALSE(parse_vllm_log(std::string(3000, '(') + std::string(10, '\0')).is_start_up);
  EXPECT_FALSE(parse_vllm_log("GPU KV cache size: many tokens\n# GPU blocks:\n").kv_tokens);
}

}  // namespace
}  // namespace headroom
