// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// A DAO's governor: proposals with the event that governors in use emit, votes, and events in any number.
contract Governor {
    event ProposalCreated(
        uint256 proposalId,
        address proposer,
        address[] targets,
        uint256[] values,
        string[] signatures,
        bytes[] calldatas,
        uint256 voteStart,
        uint256 voteEnd,
        string description
    );
    event Tick(uint256 indexed n, address indexed by, string note);

    mapping(uint256 => mapping(address => bool)) public hasVoted;

    function propose(uint256 id, uint256 voteStart, uint256 voteEnd, string calldata description) external {
        address[] memory targets = new address[](1);
        targets[0] = address(this);
        string[] memory signatures = new string[](1);
        signatures[0] = "burst(uint256,uint256)";
        bytes[] memory calldatas = new bytes[](1);
        calldatas[0] = abi.encode(uint256(1), uint256(2));
        emit ProposalCreated(
            id, msg.sender, targets, new uint256[](1), signatures, calldatas, voteStart, voteEnd, description
        );
    }

    function castVote(uint256 id) external {
        hasVoted[id][msg.sender] = true;
    }

    /// Emits `count` events, numbered from `from`.
    function burst(uint256 from, uint256 count) external {
        for (uint256 n = from; n < from + count; n++) emit Tick(n, msg.sender, "tick");
    }
}
