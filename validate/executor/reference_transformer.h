// The same transformer in double precision, one token after the other, as plain as it can be written: what the
// executor's logits are held to.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/model_shape.h"
#include "validate/executor/weights.h"
#include "validate/kernels/element.h"

namespace headroom {

// Logits after the last of `tokens`, with the weights of weight_layout() rounded to the element type.
std::vector<double> reference_logits(const ModelShape& model, Element element, std::span<const std::int32_t> tokens);

}  // namespace headroom
