# What `cmake --install` and CPack put where, and what the program makes for that from its own tables.
include(GNUInstallDirs)

set(generated ${PROJECT_BINARY_DIR}/generated/share)
function(add_generated what file)
  add_custom_command(OUTPUT ${generated}/${file}
    COMMAND ${CMAKE_COMMAND} -E env HEADROOM_CONFIGS=${PROJECT_SOURCE_DIR}/configs sh -c
            "$<TARGET_FILE:headroom> generate ${what} > ${generated}/${file}.tmp && mv ${generated}/${file}.tmp ${generated}/${file}"
    DEPENDS headroom VERBATIM)
endfunction()
file(MAKE_DIRECTORY ${generated})
add_generated(man headroom.1)
add_generated(bash-completion headroom.bash)
add_generated(zsh-completion _headroom)
add_generated(schema scenario.schema.json)
add_custom_target(generated_files ALL
  DEPENDS ${generated}/headroom.1 ${generated}/headroom.bash ${generated}/_headroom ${generated}/scenario.schema.json)

install(TARGETS headroom)
foreach(module headroom-simgrid headroom-mpi)   # modules of the program's own, in no search path
  if(TARGET ${module})
    install(TARGETS ${module} LIBRARY DESTINATION lib/headroom)
  endif()
endforeach()
install(DIRECTORY configs/ DESTINATION ${CMAKE_INSTALL_DATADIR}/headroom/configs)
install(FILES ${generated}/scenario.schema.json DESTINATION ${CMAKE_INSTALL_DATADIR}/headroom)
install(FILES ${generated}/headroom.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${generated}/headroom.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME headroom)
install(FILES ${generated}/_headroom DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

# `cpack --config build/release/CPackConfig.cmake`, or `cpack` in the build folder.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME headroom)
set(CPACK_PACKAGE_CONTACT "The Headroom maintainers")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS gnuplot-nox)  # draws the plots of reports
include(CPack)
