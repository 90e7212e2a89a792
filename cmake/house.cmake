# What every target of the house shares: one include root, warnings, sanitizers.

add_library(headroom_warnings INTERFACE)
target_compile_options(headroom_warnings INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Woverloaded-virtual
  $<$<BOOL:${HEADROOM_WERROR}>:-Werror>>)
if(HEADROOM_SANITIZE)
  target_compile_options(headroom_warnings INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${HEADROOM_SANITIZE} -fno-omit-frame-pointer>)
  target_link_options(headroom_warnings INTERFACE -fsanitize=${HEADROOM_SANITIZE})
endif()

# Results must not depend on the compiler's liberty to fuse a multiplication into an addition.
add_library(headroom_arithmetic INTERFACE)
target_compile_options(headroom_arithmetic INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off>)

# add_house_library(NAME SOURCES ... DEPENDS ...): one library per folder, so that the link graph is the layering.
function(add_house_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;PRIVATE_DEPENDS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${ARG_DEPENDS}
                        PRIVATE ${ARG_PRIVATE_DEPENDS} headroom_warnings headroom_arithmetic)
endfunction()
