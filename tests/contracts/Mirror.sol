// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// Tells everybody who they are, so that an answer that is taken for somebody else's shows.
contract Mirror {
    function look(address who) external pure returns (address seen) {
        return who;
    }
}
